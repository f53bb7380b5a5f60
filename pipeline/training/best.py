"""The best weights so far by the dev score, kept in memory and in every checkpoint."""

import json
import logging
import math
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from pipeline.training.checkpoints import folder_of

log = logging.getLogger(__name__)

DEV_METRIC = "dev_score"
WEIGHTS, SCORE = "best.safetensors", "best.json"


class KeepBest(TrainerCallback):  # type: ignore[misc]
    """Restores the weights with the best dev score at the end; stops when patience is over.

    ``patience`` is the number of dev evaluations in a row without a better score, None: no limit.
    """

    def __init__(self, model: torch.nn.Module, patience: int | None) -> None:
        self._model = model
        self._patience = patience
        self._best: dict[str, torch.Tensor] = {}
        self._best_score = -math.inf
        self._best_step = 0
        self._misses = 0

    @property
    def stopped(self) -> bool:
        """Whether patience is over, perhaps in an earlier attempt."""
        return self._patience is not None and self._misses >= self._patience

    def resume(self, checkpoint: Path) -> None:
        """Read the best weights and the score that were known at ``checkpoint``."""
        if (checkpoint / SCORE).exists():
            known = json.loads((checkpoint / SCORE).read_text())
            self._best_score, self._best_step, self._misses = known
            self._best = load_file(checkpoint / WEIGHTS)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if state.global_step >= state.max_steps:  # The last steps may have made the best weights.
            control.should_evaluate = True

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
            self._best_score, self._best_step, self._misses = score, state.global_step, 0
            self._best = snapshot(self._model)
            return
        self._misses += 1
        if self.stopped:
            control.should_training_stop = True

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if self._best and args.should_save:
            folder = folder_of(args, state)
            save_file(self._best, folder / WEIGHTS)
            (folder / SCORE).write_text(
                json.dumps([self._best_score, self._best_step, self._misses])
            )

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if not self._best:
            return
        self._model.load_state_dict(self._best)
        stopped = self.stopped and state.global_step < state.max_steps
        early = f", stopped early at step {state.global_step}" if stopped else ""
        log.info(
            "train: kept step %d of %d, dev NDCG %.3f%s",
            self._best_step,
            state.max_steps,
            self._best_score,
            early,
        )


def snapshot(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Copy all weights to CPU memory, in the form of ``model.load_state_dict``."""
    return {
        name: weights.to("cpu", copy=True).contiguous()
        for name, weights in model.state_dict().items()
    }
