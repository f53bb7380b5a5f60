"""What both trainers share: progress, loss curve, dev evaluation, best weights, adapters."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
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

from pipeline.rerankers.base import FitRequest, OnLog

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


class KeepBest(TrainerCallback):  # type: ignore[misc]
    """The weights with the best dev score, put back at the end; stops when none gets better.

    In memory, because the libraries' own way writes every checkpoint to disk and does not read
    adapters back.
    """

    def __init__(self, model: torch.nn.Module, patience: int | None) -> None:
        self._model = model
        self._patience = patience
        self._best: dict[str, torch.Tensor] = {}
        self._best_score = -math.inf
        self._misses = 0

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

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if self._best:
            self._model.load_state_dict(self._best)


def snapshot(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A copy of all weights in CPU memory, for ``model.load_state_dict``."""
    return {name: weights.to("cpu", copy=True) for name, weights in model.state_dict().items()}


@contextmanager
def adapters(holder: torch.nn.Module, attribute: str, rank: int | None) -> Iterator[None]:
    """Inside, ``holder.attribute`` has low-rank adapters on all linear layers; then merged.

    LoRA (Hu et al. 2021) by PEFT, scaled by 2: the weights of the transformer stay fixed and
    only the adapters are trained. With ``rank`` None nothing changes.
    """
    if rank is None:
        yield
        return
    from peft import LoraConfig, get_peft_model

    transformer = getattr(holder, attribute)
    layers = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear")
    adapted = get_peft_model(transformer, layers)
    setattr(holder, attribute, adapted)
    try:
        yield
    finally:
        setattr(holder, attribute, adapted.merge_and_unload())


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


def run_trainer(trainer: Trainer, request: FitRequest) -> None:
    """Train with our progress bar in place of the library's."""
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    trainer.add_callback(Progress(request.on_log))
    if request.dev_score is not None:
        trainer.add_callback(KeepBest(trainer.model, request.patience))
    trainer.train()
