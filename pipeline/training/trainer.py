"""Run a library's trainer with this project's progress bar, dev evaluation and checkpoints."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from sentence_transformers.evaluation import SentenceEvaluator
from transformers import (
    PrinterCallback,
    ProgressCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer import TRAINER_STATE_NAME

from pipeline.protocols import Effort, FitRequest
from pipeline.training.best import DEV_METRIC, KeepBest
from pipeline.training.checkpoints import Checkpoints, newest, trained_steps
from pipeline.training.deferred_signals import DeferredSignals
from pipeline.training.layers import dropout, plain_attention
from pipeline.training.progress import Progress

log = logging.getLogger(__name__)


class CountsPairs:
    """Mixin for a library's trainer: counts the (query, passage) pairs that it has trained on.

    It can also try a batch for its memory, which is not counted.
    """

    pairs = 0  # in this process

    def pairs_in(self, batch: Mapping[str, Any]) -> int:
        """Count the pairs of a collated batch."""
        raise NotImplementedError

    def training_step(self, model: torch.nn.Module, inputs: Any, *others: Any) -> torch.Tensor:
        """Train on one batch and count it."""
        self.pairs += self.pairs_in(inputs)
        loss: torch.Tensor = super().training_step(model, inputs, *others)  # type: ignore[misc]
        return loss

    def rehearse(self: Any, rows: Sequence[int]) -> None:
        """Compute the gradients of these rows and forget them; random states stay."""
        batch = self.data_collator([self.train_dataset[row] for row in rows])
        devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
        with torch.random.fork_rng(devices):
            super().training_step(self.model_wrapped, batch)  # type: ignore[misc]
        self.model_wrapped.zero_grad()


class Rehearsal(TrainerCallback):  # type: ignore[misc]
    """Tries the longest rows after the first step, so that memory fails before anything is logged.

    By then the optimiser has its memory. Otherwise such a batch might come after hours.
    """

    def __init__(self, trainer: Trainer, longest: Sequence[int]) -> None:
        self._trainer = trainer
        self._longest = longest

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Try the rows after the first step of a training, not of a resumed one."""
        if state.global_step == 1:
            self._trainer.rehearse(self._longest)


class DevEvaluator(SentenceEvaluator):  # type: ignore[misc]
    """Gives the trainers the dev score in the form that they expect."""

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
        """Measure the current weights; the arguments are the library's and not used."""
        return {DEV_METRIC: self._dev_score()}


def on_one_gpu(arguments: TrainingArguments) -> TrainingArguments:
    """Keep the library from splitting batches over all GPUs that a process sees.

    Each step would see as many times more examples. Several GPUs need several processes (torchrun).
    """
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1
    return arguments


def rates(pattern: str, head_learning_rate: float | None) -> dict[str, float]:
    """Map the names of the new layers, a regular expression, to their own learning rate."""
    return {} if head_learning_rate is None else {pattern: head_learning_rate}


def run_trainer(trainer: Trainer, request: FitRequest, longest: Sequence[int]) -> Effort:
    """Train, resuming from the newest checkpoint in the trainer's output folder if there is one.

    ``longest`` are the numbers of the longest rows, as many as a batch has.

    Raises:
        BaseException: what the handler of a signal raises, such as Terminated after SIGTERM; by
            then a checkpoint of the last step is written.
    """
    on_cpu_in_half = trainer.args.bf16 and trainer.args.use_cpu
    with (
        dropout(trainer.model, request.dropout),
        plain_attention(trainer.model, on_cpu_in_half),
    ):
        return _run(trainer, request, longest)


def _run(trainer: Trainer, request: FitRequest, longest: Sequence[int]) -> Effort:
    signals = DeferredSignals()
    checkpoints = Checkpoints(request.checkpoint_seconds, signals, lambda: trainer.pairs)
    best = KeepBest(trainer.model, request.patience)
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    trainer.add_callback(Progress(request.on_log))
    trainer.add_callback(Rehearsal(trainer, longest))
    if request.dev_score is not None:
        trainer.add_callback(best)
    trainer.add_callback(checkpoints)  # last, because it seals what the others have written

    latest = newest(Path(trainer.args.output_dir))
    if latest is None:
        with signals.deferred():
            trainer.train()
        return Effort(trainer.state.global_step, checkpoints.pairs(), spent=0.0)
    spent = checkpoints.resume(latest)
    best.resume(latest)
    log.info("resuming from step %d of %d", trained_steps(latest), trainer.args.max_steps)
    if best.stopped or trained_steps(latest) >= trainer.args.max_steps:
        _load_finished(trainer, latest)
    else:
        with signals.deferred():
            trainer.train(resume_from_checkpoint=str(latest))
    return Effort(trainer.state.global_step, checkpoints.pairs(), spent)


def _load_finished(trainer: Trainer, checkpoint: Path) -> None:
    """Load the result of a training that was interrupted after its last step.

    The library would train one more step before it notices that none is left.
    """
    trainer._load_from_checkpoint(str(checkpoint))
    trainer.state = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))
    for event in (trainer.callback_handler.on_train_begin, trainer.callback_handler.on_train_end):
        event(trainer.args, trainer.state, trainer.control)
