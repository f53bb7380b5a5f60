"""Train one reranker on the mined examples: steps, schedule, precision, dev evaluation, guards."""

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import fmean

from accelerate.utils import find_executable_batch_size
from scipy.stats import ttest_ind

from pipeline.config.stages import TrainConfig
from pipeline.infra.distributed import world_size
from pipeline.infra.hardware import Hardware
from pipeline.protocols import FitRequest, OnLog, Reranker, Scorer
from pipeline.records import InputError, TrainingExample
from pipeline.training.checkpoints import snapshot
from pipeline.training.examples import counted_by

log = logging.getLogger(__name__)

SANE_LEARNING_RATES = (1e-6, 5e-4)  # of pretrained transformers
FLAT = 0.1  # a p-value above this: the loss can't be told from one that does not fall
MIN_CURVE = 4  # logged losses in a quarter of the curve, below that nothing is concluded
TEACHER_ROWS = 64  # rows that the teacher scores at a time


@dataclass(frozen=True)
class TrainPlan:
    """How much a run trains: the same whatever machine it runs on."""

    loss: str
    negatives: int  # of each query
    steps: int  # optimiser steps
    pairs: int  # (query, passage) pairs seen in all steps
    eval_steps: int | None


@dataclass(frozen=True)
class Outcome:
    """What training came to.

    ``kept`` is "trained", or "start" where training made the dev score worse and was undone;
    the dev scores are None where they were not measured. ``spent`` seconds went into an attempt
    that was interrupted and gone on with.
    """

    kept: str
    dev_before: float | None
    dev_after: float | None
    batch_size: int  # examples in memory at a time, smaller than asked for where memory was short
    warnings: list[str]
    spent: float


def plan(
    loss: str, rows: int, queries: int, negatives: int, epochs: int, config: TrainConfig
) -> TrainPlan:
    """Steps and pairs of a run over ``rows`` (query, relevant passage) rows of ``queries``.

    A batch counts pairs for "bce", queries with the list of their passages for "lambda",
    "ranknet" and "listnet", and rows with their negatives for the other losses.

    Raises:
        InputError: ``train.eval_every`` is longer than the run, so that no checkpoint would
            ever be compared.
    """
    unit = counted_by(loss)
    pairs_per_epoch = rows + queries * negatives if unit == "queries" else rows * (1 + negatives)
    examples = {"pairs": pairs_per_epoch, "rows": rows, "queries": queries}[unit]
    batches = math.ceil(examples / config.batch_size)
    steps_per_epoch = math.ceil(batches / config.gradient_accumulation)
    steps = config.max_steps or steps_per_epoch * epochs
    seen = pairs_per_epoch * steps / max(steps_per_epoch, 1)
    eval_steps = None
    if config.eval_every is not None:
        share = config.eval_every < 1
        eval_steps = max(1, int(steps * config.eval_every if share else config.eval_every))
        if eval_steps > steps:
            raise InputError(
                f"train.eval_every={config.eval_every:g}: longer than the run's {steps} steps, "
                "so no checkpoint would be evaluated; use a share below 1"
            )
    return TrainPlan(loss, negatives, steps, round(seen), eval_steps)


def train(
    reranker: Reranker,
    rows: Callable[[], Iterable[TrainingExample]],
    plan: TrainPlan,
    config: TrainConfig,
    hardware: Hardware,
    seed: int,
    folder: Path,
    dev_score: Callable[[], float] | None,
    on_log: OnLog,
    better_than_start: bool = False,
) -> Outcome:
    """Train ``reranker`` in place; with dev evaluation, the best checkpoint is what remains.

    With ``better_than_start`` the dev score is measured before and after, and a model that
    became worse is put back. When memory runs out, the batch is halved and twice as many are
    accumulated. ``folder`` holds the training rows and checkpoints, from which an interrupted
    training goes on, and can be deleted afterwards.

    Raises:
        InputError: the batch can't be shared evenly by the processes of torchrun.
        RuntimeError: the loss is not finite, or not even one example fits into memory.
    """
    if config.batch_size % world_size():
        raise InputError(
            f"train.batch_size={config.batch_size}: must be a multiple of the {world_size()} "
            "processes that share it"
        )
    warnings = _check_learning_rate(config.learning_rate)
    start = snapshot(reranker.model)
    compare = dev_score if better_than_start else None
    before = compare() if compare else None
    losses: list[float] = []

    def watch(step: int, metrics: Mapping[str, float]) -> None:
        if "train/loss" in metrics:
            losses.append(metrics["train/loss"])
            if not math.isfinite(losses[-1]):
                raise RuntimeError(
                    f"the loss is {losses[-1]} at step {step}: lower "
                    f"train.learning_rate={config.learning_rate:g} or set hardware.precision=fp32"
                )
        on_log(step, metrics)

    evaluation = {}
    if plan.eval_steps is not None and dev_score is not None:
        evaluation = {"eval_strategy": "steps", "eval_steps": plan.eval_steps}
    size = config.batch_size

    def next_size() -> int:
        nonlocal size
        if world_size() > 1:  # the other processes are in the middle of the step
            raise RuntimeError(
                f"out of memory with train.batch_size={config.batch_size}: lower it and raise "
                "train.gradient_accumulation, a step then sees as much"
            )
        # A divisor, so that the accumulated batch is the one asked for; 0: none is left.
        size = max((n for n in range(1, size // 2 + 1) if config.batch_size % n == 0), default=0)
        return size

    @find_executable_batch_size(starting_batch_size=size, reduce_batch_size_fn=next_size)  # type: ignore[untyped-decorator]
    def attempt(batch_size: int) -> float:
        if batch_size < config.batch_size:
            log.warning("%s", _smaller(batch_size, config, plan.loss))
            reranker.model.load_state_dict(start)
            losses.clear()
        # A folder for each size: a checkpoint is gone on with at the size it was made at.
        here = folder / f"batch-{batch_size}"
        return reranker.fit(
            FitRequest(
                rows=rows(),
                loss=plan.loss,
                negatives=plan.negatives,
                arguments=_arguments(batch_size, plan, config, hardware, seed, here) | evaluation,
                dev_score=dev_score if evaluation else None,
                patience=config.patience,
                lora_rank=config.lora_rank,
                checkpoint_seconds=(
                    None if config.checkpoint_minutes is None else 60 * config.checkpoint_minutes
                ),
                on_log=watch,
            )
        )

    spent: float = attempt()
    warnings += _check_curve(losses)
    after = compare() if compare else None
    kept = "trained"
    if before is not None and after is not None and after < before:
        reranker.model.load_state_dict(start)
        kept = "start"
        warnings.append(
            f"training lowered the dev NDCG from {before:.3f} to {after:.3f}, so the start is "
            "kept: try a lower train.learning_rate, fewer epochs or more data"
        )
    for warning in warnings:
        log.warning("%s", warning)
    return Outcome(kept, before, after, size, warnings, spent)


def with_teacher(rows: Iterable[TrainingExample], teacher: Scorer) -> Iterator[TrainingExample]:
    """The rows with the scores of ``teacher`` for the relevant passage and every negative."""
    remaining = iter(rows)
    while chunk := list(islice(remaining, TEACHER_ROWS)):
        queries = {str(i): row.query for i, row in enumerate(chunk)}
        passages: dict[str, str] = {}
        pairs = []
        for i, row in enumerate(chunk):
            for j, text in enumerate([row.positive, *row.negatives]):
                passages[f"{i}/{j}"] = text
                pairs.append((str(i), f"{i}/{j}"))
        scores = iter(teacher.score_pairs(queries, passages, pairs).tolist())
        for row in chunk:
            yield row._replace(teacher=[next(scores) for _ in range(1 + len(row.negatives))])


def _arguments(
    batch_size: int,
    plan: TrainPlan,
    config: TrainConfig,
    hardware: Hardware,
    seed: int,
    folder: Path,
) -> dict[str, object]:
    """Fields of transformers.TrainingArguments."""
    distributed: dict[str, object] = {}
    if world_size() > 1:
        backend = "gloo" if hardware.device == "cpu" else "nccl"
        distributed = {"ddp_backend": backend, "ddp_find_unused_parameters": False}
    return {
        "output_dir": str(folder),
        "max_steps": plan.steps,
        "per_device_train_batch_size": batch_size // world_size(),
        "gradient_accumulation_steps": (
            config.gradient_accumulation * config.batch_size // batch_size
        ),
        "learning_rate": config.learning_rate,
        "warmup_steps": config.warmup,  # transformers reads a number below 1 as a share
        "weight_decay": config.weight_decay,
        "bf16": hardware.precision == "bf16",
        "use_cpu": hardware.device == "cpu",
        "seed": seed,
        "data_seed": seed,
        "logging_steps": max(1, plan.steps // 50),
        "logging_nan_inf_filter": False,  # it would hide what watch() looks for
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": hardware.device == "cuda",
        "save_strategy": "no",  # ours are written by time
        **distributed,
    }


def _check_learning_rate(learning_rate: float) -> list[str]:
    low, high = SANE_LEARNING_RATES
    if low <= learning_rate <= high:
        return []
    return [f"train.learning_rate={learning_rate:g}: usual is {low:g} to {high:g}"]


def _check_curve(losses: list[float]) -> list[str]:
    """A warning if the last quarter of the loss curve is not clearly below the first.

    Welch's one-sided t-test, because single batches differ whatever the model learns.
    """
    quarter = len(losses) // 4
    if quarter < MIN_CURVE:
        return []
    first, last = losses[:quarter], losses[-quarter:]
    if ttest_ind(first, last, equal_var=False, alternative="greater").pvalue < FLAT:
        return []
    return [
        f"the loss is flat, {fmean(first):.4g} at first and {fmean(last):.4g} at last: try another "
        "train.learning_rate, more epochs, or look at the labels"
    ]


def _smaller(batch_size: int, config: TrainConfig, loss: str) -> str:
    factor = config.batch_size // batch_size
    text = (
        f"out of memory: {batch_size} examples at a time instead of {config.batch_size}, "
        f"accumulated {factor} times, so a step still sees {config.batch_size}"
    )
    if loss in ("contrastive", "mnrl"):
        text += "; the negatives in the batch become fewer"
    return text
