"""What both trainers share: progress, loss curve, dev evaluation, adapters."""

import logging
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
from transformers.trainer import TRAINER_STATE_NAME

from pipeline.infra.console import live_line
from pipeline.protocols import FitRequest, OnLog
from pipeline.training.checkpoints import (
    DEV_METRIC,
    Checkpoints,
    KeepBest,
    newest,
    signals_after_step,
    step_of,
)

log = logging.getLogger(__name__)

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
        self._bar = live_line("train", "step", total=state.max_steps, done=state.global_step)
        for logs in state.log_history:  # what an interrupted attempt had logged
            self._pass_on(logs, logs["step"])

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
        self._pass_on(logs, state.global_step)

    def _pass_on(self, logs: Mapping[str, float], step: float) -> None:
        metrics = {name: logs[key] for key, name in CURVES.items() if key in logs}
        if metrics:
            self._on_log(int(step), metrics)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if self._bar is not None:
            self._bar.close()


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


def on_one_gpu(arguments: TrainingArguments) -> TrainingArguments:
    """Keep the library from splitting batches over all GPUs that a process sees.

    A step would see as many times more examples. Several GPUs take several processes (torchrun).
    """
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1
    return arguments


def run_trainer(trainer: Trainer, request: FitRequest) -> float:
    """Train with our progress bar and checkpoints in place of the library's.

    Returns the seconds that an interrupted attempt had spent up to the checkpoint that this one
    went on from.

    Raises:
        BaseException: what the handler of a signal raises (Terminated after SIGTERM); a checkpoint
            of the last step has been written.
    """
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    trainer.add_callback(Progress(request.on_log))
    best = KeepBest(trainer.model, request.patience)
    if request.dev_score is not None:
        trainer.add_callback(best)
    checkpoints = Checkpoints(request.checkpoint_seconds)
    latest = newest(Path(trainer.args.output_dir))
    if latest is not None:
        spent = checkpoints.resume(latest)
        best.resume(latest)
        log.info("going on from step %d of %d", step_of(latest), trainer.args.max_steps)
    trainer.add_callback(checkpoints)  # last, as it seals what the others have written
    if latest is not None and (best.stopped or step_of(latest) >= trainer.args.max_steps):
        _load_finished(trainer, latest)
        return spent
    with signals_after_step(checkpoints):
        trainer.train(resume_from_checkpoint=None if latest is None else str(latest))
    return spent if latest else 0.0


def _load_finished(trainer: Trainer, checkpoint: Path) -> None:
    """What a training comes to that was interrupted after its last step.

    The library would take another one before it sees that there is nothing left to do.
    """
    trainer._load_from_checkpoint(str(checkpoint))
    trainer.state = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))
    for event in (trainer.callback_handler.on_train_begin, trainer.callback_handler.on_train_end):
        event(trainer.args, trainer.state, trainer.control)
