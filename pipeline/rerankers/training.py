"""What both trainers share: the progress bar, the loss curve and the dev evaluator."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from datasets.arrow_writer import ArrowWriter
from sentence_transformers.evaluation import SentenceEvaluator
from tqdm import tqdm
from transformers import (
    PrinterCallback,
    ProgressCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from pipeline.rerankers.base import OnLog

DEV_METRIC = "dev_ndcg_at_10"
CURVES = {"loss": "train/loss", "learning_rate": "train/learning_rate"} | {
    f"eval_{DEV_METRIC}": f"train/{DEV_METRIC}"
}


class DevEvaluator(SentenceEvaluator):  # type: ignore[misc]
    """Calls back for the dev score, in the form that the trainers expect."""

    def __init__(self, dev_score: Callable[[], float]) -> None:
        super().__init__()
        self._dev_score = dev_score
        self.primary_metric = DEV_METRIC

    def __call__(
        self,
        model: torch.nn.Module,
        output_path: str | None = None,
        epoch: int = -1,
        steps: int = -1,
    ) -> dict[str, float]:
        return {DEV_METRIC: self._dev_score()}


class Progress(TrainerCallback):  # type: ignore[misc]
    """One bar with the loss and the remaining time; curves go to ``on_log``."""

    def __init__(self, on_log: OnLog) -> None:
        self._on_log = on_log
        self._bar: tqdm[Any] | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._bar = tqdm(total=state.max_steps, desc="train", unit="step", disable=None)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if self._bar is not None:
            self._bar.update(state.global_step - self._bar.n)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        logs = logs or {}
        if self._bar is not None and "loss" in logs:
            self._bar.set_postfix(loss=f"{logs['loss']:.3f}")
        metrics = {name: logs[key] for key, name in CURVES.items() if key in logs}
        if metrics:
            self._on_log(state.global_step, metrics)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if self._bar is not None:
            self._bar.close()


def on_disk(rows: Iterator[Mapping[str, Any]], file: Path) -> Dataset:
    """The rows as a memory-mapped data set, written to ``file`` one by one.

    Not ``Dataset.from_generator``: to name its cache it pickles whatever the generator refers
    to, down to the model.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with ArrowWriter(path=str(file)) as writer:
        for row in rows:
            writer.write(dict(row))
        writer.finalize()
    return Dataset.from_file(str(file))


def run_trainer(trainer: Trainer, on_log: OnLog) -> None:
    """Train with our progress bar in place of the library's."""
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    trainer.add_callback(Progress(on_log))
    trainer.train()
