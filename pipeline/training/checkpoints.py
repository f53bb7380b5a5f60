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
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import compress
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from safetensors.torch import load_file, load_model, save_file, save_model
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from pipeline.infra.distributed import any_of, wait_for_all
from pipeline.infra.manifest import damage, seal

DEV_METRIC = "dev_ndcg_at_10"
PREFIX = "checkpoint-"  # the library's, before the step
WEIGHTS = "weights.safetensors"
SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
"""By which a process is told to end: submitit (SLURM) has a handler for the last, or the second."""

Handler = Callable[[int, FrameType | None], object]
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

    @property
    def stopped(self) -> bool:
        """Whether patience is over, perhaps in an earlier attempt."""
        return self._patience is not None and self._misses >= self._patience

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
        if self.stopped:
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
    """Asks for a checkpoint every ``seconds`` (None: never) and when a signal has come.

    The signal's handler is called when the checkpoint is written. If it raises, that is the end of
    the training; if it returns, the training goes on.
    """

    def __init__(self, seconds: float | None) -> None:
        self.handlers: dict[int, Handler] = {}  # of the signals that are waited with
        self._came: set[int] = set()  # here
        self._agreed: list[int] = []  # in any of the processes, known to all
        self._seconds = seconds
        self._spent = 0.0
        self._started = self._last = time.monotonic()

    def note(self, number: int, frame: FrameType | None) -> None:
        """The handler while training: what came is answered after the step."""
        self._came.add(number)

    def answer(self, numbers: Iterable[int] | None = None) -> None:
        """Call the handlers of these signals; None: of all that came and have no answer."""
        for number in list(self._came) if numbers is None else numbers:
            self._came.discard(number)
            if number in self.handlers:
                self.handlers[number](number, None)

    def resume(self, checkpoint: Path) -> float:
        """The seconds of training that led to ``checkpoint``, from now on counted in."""
        self._spent = json.loads((checkpoint / SPENT).read_text())
        return self._spent

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        due = self._seconds is not None and time.monotonic() - self._last >= self._seconds
        *came, due = any_of(*(number in self._came for number in SIGNALS), due)
        self._agreed = list(compress(SIGNALS, came))
        if self._agreed or (due and state.global_step < state.max_steps):
            control.should_save = True

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        folder = Path(args.output_dir, f"{PREFIX}{state.global_step}")
        self._last = time.monotonic()
        wait_for_all()  # each process writes its random state
        if args.should_save:  # of rank 0
            (folder / SPENT).write_text(json.dumps(self._spent + self._last - self._started))
            seal(folder)
            for other in folder.parent.glob(f"{PREFIX}*"):
                if other != folder:
                    shutil.rmtree(other)
        if self._agreed:
            wait_for_all()  # who ends early has the others ended
            self.answer(self._agreed)


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
def signals_after_step(checkpoints: Checkpoints) -> Iterator[None]:
    """Inside, signals let the training step end and a checkpoint be written; then they are handled.

    Only those that have a handler: ours, which ends the command, or that of a scheduler.

    Raises:
        BaseException: what a handler raises, Terminated or SystemExit.
    """
    main = threading.current_thread() is threading.main_thread()
    for told in SIGNALS if main else ():  # Python lets no other thread
        if callable(handler := signal.getsignal(told)):
            checkpoints.handlers[told] = handler
            signal.signal(told, checkpoints.note)
    try:
        yield
    finally:
        for number, handler in checkpoints.handlers.items():
            if signal.getsignal(number) == checkpoints.note:  # not what a handler has put there
                signal.signal(number, handler)
    checkpoints.answer()  # those that came after the last step
