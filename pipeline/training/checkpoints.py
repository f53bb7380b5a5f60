"""Checkpoints that an interrupted training resumes from.

The libraries' trainers write optimiser, schedule, random states and history, and skip the batches
that were trained on. The weights are written here, because the libraries' own formats do not
restore adapters. A checkpoint is used only if its manifest is there and no file is damaged, so a
half-written one is never read. On a CPU the final weights equal those of a training without
interruption, bit by bit.
"""

import json
import shutil
import time
from collections.abc import Callable
from itertools import compress
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_model, save_model
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from pipeline.infra.distributed import any_of, sum_over_all, wait_for_all
from pipeline.infra.manifest import damage, seal
from pipeline.infra.signals import SCHEDULER_SIGNALS
from pipeline.training.deferred_signals import DeferredSignals

PREFIX = "checkpoint-"  # the library's, before the step
WEIGHTS, SPENT = "weights.safetensors", "spent.json"


class Resumable:
    """Mixin for a library's trainer: checkpoints hold the weights under the model's own names."""

    model: torch.nn.Module

    def _save(self, output_dir: str, state_dict: object = None) -> None:
        Path(output_dir).mkdir(parents=True, exist_ok=True)
        save_model(self.model, str(Path(output_dir, WEIGHTS)))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: object = None) -> None:
        load_model(self.model, Path(resume_from_checkpoint, WEIGHTS))


class Checkpoints(TrainerCallback):  # type: ignore[misc]
    """Saves a checkpoint every ``seconds`` (None: never) and after a signal; keeps the newest.

    A signal is handled once the checkpoint is written. If its handler raises, the training ends;
    if the handler returns, the training continues. ``pairs`` counts those that this process has
    trained on since it started.
    """

    def __init__(
        self, seconds: float | None, signals: DeferredSignals, pairs: Callable[[], int]
    ) -> None:
        self._seconds = seconds
        self._signals = signals
        self._pairs_here = pairs
        self._pairs_before = 0
        self._agreed: list[int] = []  # signals that arrived in any process, known to all
        self._spent = 0.0
        self._started = self._last = time.monotonic()

    def resume(self, checkpoint: Path) -> float:
        """Return the seconds of training that led to ``checkpoint``, and count on from there."""
        self._spent, self._pairs_before = json.loads((checkpoint / SPENT).read_text())
        return self._spent

    def pairs(self) -> int:
        """Count the pairs of all attempts; all processes must call this together."""
        return self._pairs_before + sum_over_all(self._pairs_here())

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        due = self._seconds is not None and time.monotonic() - self._last >= self._seconds
        *pending, due = any_of(*self._signals.pending(), due)
        self._agreed = list(compress(SCHEDULER_SIGNALS, pending))
        if self._agreed or (due and state.global_step < state.max_steps):
            control.should_save = True

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        folder = folder_of(args, state)
        self._last = time.monotonic()
        # Each process writes its random state, and the manifest must list them all.
        pairs = self.pairs()
        if args.should_save:  # of rank 0
            seconds = self._spent + self._last - self._started
            (folder / SPENT).write_text(json.dumps([seconds, pairs]))
            seal(folder)
            for other in folder.parent.glob(f"{PREFIX}*"):
                if other != folder:
                    shutil.rmtree(other)
        if self._agreed:
            # A process that ends takes the others down, so the checkpoint must be whole first.
            wait_for_all()
            self._signals.handle(self._agreed)


def newest(folder: Path) -> Path | None:
    """Find the latest undamaged checkpoint in ``folder``; None if there is none."""
    found = sorted(folder.glob(f"{PREFIX}*"), key=trained_steps, reverse=True)
    return next((checkpoint for checkpoint in found if damage(checkpoint) is None), None)


def trained_steps(checkpoint: Path) -> int:
    """Read the optimiser step of a checkpoint from its name."""
    return int(checkpoint.name.removeprefix(PREFIX))


def folder_of(args: TrainingArguments, state: TrainerState) -> Path:
    """Name the folder of the checkpoint that is being saved."""
    return Path(args.output_dir, f"{PREFIX}{state.global_step}")
