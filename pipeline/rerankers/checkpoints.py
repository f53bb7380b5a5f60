"""Checkpoints of a training that may be interrupted, and the best weights so far.

The libraries' trainers write optimiser, schedule, random states and history, and skip what has
been seen; the weights are written here, as the libraries' own formats do not bring adapters back.
A checkpoint counts when it has its manifest and is undamaged, so a half-written one is never
read. On a CPU the weights in the end are those of a training without interruption, bit by bit.
"""

import json
import math
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from safetensors.torch import load_file, load_model, save_file, save_model
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from pipeline.distributed import any_of, wait_for_all
from pipeline.errors import Terminated, terminates
from pipeline.manifest import damage, seal

DEV_METRIC = "dev_ndcg_at_10"
PREFIX = "checkpoint-"  # the library's, before the step
WEIGHTS = "weights.safetensors"
BEST_WEIGHTS, BEST_SCORE, SPENT = "best.safetensors", "best.json", "spent.json"


class Resumable:
    """Put before a trainer's class: a checkpoint holds the weights under their own names."""

    model: torch.nn.Module

    def _save(self, output_dir: str, state_dict: object = None) -> None:
        Path(output_dir).mkdir(parents=True, exist_ok=True)
        save_model(self.model, str(Path(output_dir, WEIGHTS)))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: object = None) -> None:
        load_model(self.model, Path(resume_from_checkpoint, WEIGHTS))


class KeepBest(TrainerCallback):  # type: ignore[misc]
    """The weights with the best dev score, put back at the end; stops when none gets better."""

    def __init__(self, model: torch.nn.Module, patience: int | None) -> None:
        self._model = model
        self._patience = patience
        self._best: dict[str, torch.Tensor] = {}
        self._best_score = -math.inf
        self._misses = 0

    def resume(self, checkpoint: Path) -> None:
        """Take up what an earlier attempt knew at ``checkpoint``."""
        if (checkpoint / BEST_SCORE).exists():
            self._best_score, self._misses = json.loads((checkpoint / BEST_SCORE).read_text())
            self._best = load_file(checkpoint / BEST_WEIGHTS)

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float],
        **_: Any,
    ) -> None:
        score = metrics[f"eval_{DEV_METRIC}"]
        if score > self._best_score:
            self._best_score, self._misses = score, 0
            self._best = snapshot(self._model)
            return
        self._misses += 1
        if self._misses == self._patience:
            control.should_training_stop = True

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if self._best and args.should_save:
            folder = Path(args.output_dir, f"{PREFIX}{state.global_step}")
            save_file(self._best, folder / BEST_WEIGHTS)
            (folder / BEST_SCORE).write_text(json.dumps([self._best_score, self._misses]))

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if self._best:
            self._model.load_state_dict(self._best)


class Checkpoints(TrainerCallback):  # type: ignore[misc]
    """Asks for a checkpoint every ``seconds`` (None: never) and when the process is to end."""

    def __init__(self, seconds: float | None) -> None:
        self.terminated = False
        self._seconds = seconds
        self._spent = 0.0
        self._started = self._last = time.monotonic()

    def resume(self, checkpoint: Path) -> float:
        """The seconds of training that led to ``checkpoint``, from now on counted in."""
        self._spent = json.loads((checkpoint / SPENT).read_text())
        return self._spent

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        due = self._seconds is not None and time.monotonic() - self._last >= self._seconds
        self.terminated, due = any_of(self.terminated, due)
        if self.terminated:
            control.should_save = control.should_training_stop = True
        elif due and state.global_step < state.max_steps:
            control.should_save = True

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        folder = Path(args.output_dir, f"{PREFIX}{state.global_step}")
        self._last = time.monotonic()
        wait_for_all()  # each process writes its random state
        if not args.should_save:  # not of rank 0
            return
        (folder / SPENT).write_text(json.dumps(self._spent + self._last - self._started))
        seal(folder)
        for other in folder.parent.glob(f"{PREFIX}*"):
            if other != folder:
                shutil.rmtree(other)


def newest(folder: Path) -> Path | None:
    """The latest undamaged checkpoint in ``folder``, None if there is none."""
    found = sorted(folder.glob(f"{PREFIX}*"), key=step_of, reverse=True)
    return next((checkpoint for checkpoint in found if damage(checkpoint) is None), None)


def step_of(checkpoint: Path) -> int:
    """The optimiser step after which it was written."""
    return int(checkpoint.name.removeprefix(PREFIX))


def snapshot(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A copy of all weights in CPU memory, for ``model.load_state_dict``."""
    return {
        name: weights.to("cpu", copy=True).contiguous()
        for name, weights in model.state_dict().items()
    }


@contextmanager
def terminated_after_step(checkpoints: Checkpoints) -> Iterator[None]:
    """Inside, SIGTERM lets the training step end and a checkpoint be written.

    Only where the command would end at once otherwise; a scheduler's own handler stays.

    Raises:
        Terminated: at the end, if the signal came.
    """
    before = signal.getsignal(signal.SIGTERM)
    if before is not terminates:
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        checkpoints.terminated = True

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
    if checkpoints.terminated:
        raise Terminated
