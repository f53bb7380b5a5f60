"""Train one reranker on the mined examples, and keep the weights only if they got better."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from accelerate.utils import find_executable_batch_size

from pipeline.config.training import TrainConfig
from pipeline.infra.distributed import world_size
from pipeline.infra.hardware import Hardware
from pipeline.protocols import Effort, FitRequest, OnLog, Reranker
from pipeline.records import InputError, TrainingExample
from pipeline.training.best import snapshot
from pipeline.training.guards import LossCurve, check_learning_rate, undone
from pipeline.training.schedule import IN_BATCH, Schedule, warm_up

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """The result of a training, beside the weights.

    ``kept`` is "trained", or "start" if training did not raise the dev score and was undone. The
    dev scores are None if they were not measured. ``batch_size`` counts the examples in memory at a
    time, fewer than configured if memory was short. ``effort`` is that of the attempt whose
    weights remain.
    """

    kept: str
    dev_before: float | None
    dev_after: float | None
    batch_size: int
    warnings: list[str]
    effort: Effort


def train(
    reranker: Reranker,
    rows: Callable[[], Iterable[TrainingExample]],
    schedule: Schedule,
    config: TrainConfig,
    *,
    hardware: Hardware,
    seed: int,
    folder: Path,
    on_log: OnLog,
    dev_score: Callable[[], float] | None = None,
    on_restart: Callable[[], None] = lambda: None,
    better_than_start: bool = False,
) -> Outcome:
    """Train ``reranker`` in place; with dev evaluations, the best weights remain.

    With ``better_than_start`` the dev score is measured before and after, and a model that did
    not become better gets its first weights back. ``on_restart`` is called before a new attempt
    with a smaller batch, which voids what was logged. ``folder`` holds the training rows and the
    checkpoints that an interrupted training resumes from; it can be deleted afterwards.

    Raises:
        InputError: the processes of torchrun can't share the batch evenly.
        RuntimeError: the loss is not finite, or not even one example fits into memory.
    """
    _check_batch_size(config.batch_size)
    start = snapshot(reranker.model)
    compare = dev_score if better_than_start else None
    before = compare() if compare else None
    curve = LossCurve(config.learning_rate, on_log)

    def fit(batch_size: int) -> tuple[int, Effort]:
        if batch_size < config.batch_size:
            log.warning("%s", _out_of_memory(batch_size, config, schedule.loss))
            reranker.model.load_state_dict(start)
            curve.losses.clear()
            on_restart()
        # One folder per size, because a checkpoint can only be resumed at its own batch size.
        here = folder / f"batch-{batch_size}"
        arguments = _arguments(batch_size, schedule, config, hardware, seed, here)
        return batch_size, reranker.fit(
            _request(rows(), schedule, config, arguments, dev_score, curve.on_log)
        )

    batch_size, effort = _with_falling_batch_size(fit, config.batch_size)
    after = compare() if compare else None
    kept = "start" if undone(before, after) else "trained"
    warnings = [*check_learning_rate(config.learning_rate), *curve.warnings()]
    if kept == "start":
        reranker.model.load_state_dict(start)
        warnings.append(
            f"training did not raise the dev NDCG (before {before:.3f}, after {after:.3f}), so the "
            "start is kept: try another train.learning_rate, fewer epochs or more data"
        )
    for warning in warnings:
        log.warning("%s", warning)
    return Outcome(kept, before, after, batch_size, warnings, effort)


def _check_batch_size(batch_size: int) -> None:
    if batch_size % world_size():
        raise InputError(
            f"train.batch_size={batch_size}: must be a multiple of the {world_size()} "
            "processes that share it"
        )


def _with_falling_batch_size(
    fit: Callable[[int], tuple[int, Effort]], batch_size: int
) -> tuple[int, Effort]:
    """Call ``fit`` with ``batch_size``, and with a smaller one each time memory runs out."""
    smaller = _smaller_batch_sizes(batch_size)
    attempt = find_executable_batch_size(
        fit, starting_batch_size=batch_size, reduce_batch_size_fn=partial(next, smaller, 0)
    )
    result: tuple[int, Effort] = attempt()
    return result


def _smaller_batch_sizes(batch_size: int) -> Iterator[int]:
    """Halve ``batch_size`` to the next divisor of it, down to 1.

    Only a divisor accumulates to exactly the configured batch.
    """
    if world_size() > 1:  # The other processes are in the middle of the step.
        raise RuntimeError(
            f"out of memory with train.batch_size={batch_size}: lower it and raise "
            "train.gradient_accumulation, a step then sees as much"
        )
    size = batch_size
    while size > 1:
        size = max(n for n in range(1, size // 2 + 1) if batch_size % n == 0)
        yield size


def _out_of_memory(batch_size: int, config: TrainConfig, loss: str) -> str:
    factor = config.batch_size // batch_size
    text = (
        f"out of memory: {batch_size} examples at a time instead of {config.batch_size}, "
        f"accumulated {factor} times, so a step still sees {config.batch_size}"
    )
    if loss in IN_BATCH:
        text += "; the negatives in the batch become fewer"
    return text


def _request(
    rows: Iterable[TrainingExample],
    schedule: Schedule,
    config: TrainConfig,
    arguments: dict[str, object],
    dev_score: Callable[[], float] | None,
    on_log: OnLog,
) -> FitRequest:
    """Put together what the reranker's trainer needs."""
    evaluated = schedule.eval_steps is not None and dev_score is not None
    if evaluated:
        arguments |= {"eval_strategy": "steps", "eval_steps": schedule.eval_steps}
    minutes = config.checkpoint_minutes
    return FitRequest(
        rows=rows,
        loss=schedule.loss,
        head_learning_rate=config.head_learning_rate,
        dropout=config.dropout,
        negatives=schedule.negatives,
        arguments=arguments,
        dev_score=dev_score if evaluated else None,
        patience=config.patience,
        lora_rank=config.lora_rank,
        checkpoint_seconds=None if minutes is None else 60 * minutes,
        on_log=on_log,
    )


def _arguments(
    batch_size: int,
    schedule: Schedule,
    config: TrainConfig,
    hardware: Hardware,
    seed: int,
    folder: Path,
) -> dict[str, object]:
    """Fields of transformers.TrainingArguments."""
    precision = hardware.training_precision or hardware.precision
    distributed: dict[str, object] = {}
    if world_size() > 1:
        backend = "gloo" if hardware.device == "cpu" else "nccl"
        distributed = {"ddp_backend": backend, "ddp_find_unused_parameters": False}
    return {
        "output_dir": str(folder),
        "max_steps": schedule.steps,
        "per_device_train_batch_size": batch_size // world_size(),
        "gradient_accumulation_steps": (
            config.gradient_accumulation * config.batch_size // batch_size
        ),
        "learning_rate": config.learning_rate,
        # transformers reads a number below 1 as a share
        "warmup_steps": warm_up(config, schedule.steps),
        "weight_decay": config.weight_decay,
        "bf16": precision == "bf16",
        "fp16": precision == "fp16",
        "use_cpu": hardware.device == "cpu",
        "seed": seed,
        "data_seed": seed,
        "logging_steps": max(1, schedule.steps // 50),
        "logging_nan_inf_filter": False,  # it would hide what LossCurve looks for
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": hardware.device == "cuda",
        "save_strategy": "no",  # Checkpoints saves by time
        **distributed,
    }
