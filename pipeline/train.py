"""Train one reranker on the mined triples: steps, schedule, precision, dev evaluation."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.config import TrainConfig
from pipeline.hardware import Hardware
from pipeline.records import InputError
from pipeline.rerankers.base import FitRequest, OnLog, Reranker


@dataclass(frozen=True)
class TrainPlan:
    """How much a run trains: the same whatever machine it runs on."""

    pairs_per_epoch: int  # (query, passage) pairs
    steps: int  # optimiser steps
    pairs: int  # seen in all steps
    eval_steps: int | None


def plan(arch: str, rows: int, negatives: int, epochs: int, config: TrainConfig) -> TrainPlan:
    """Steps and pairs of a run over ``rows`` (query, relevant passage) rows.

    A cross-encoder's batch counts pairs, a ColBERT's counts queries with all their passages.

    Raises:
        InputError: ``train.eval_every`` is longer than the run, so that no checkpoint would
            ever be compared.
    """
    pairs_per_epoch = rows * (1 + negatives)
    examples = pairs_per_epoch if arch == "cross_encoder" else rows
    pairs_per_example = pairs_per_epoch / max(examples, 1)
    batches = math.ceil(examples / config.batch_size)
    steps_per_epoch = math.ceil(batches / config.gradient_accumulation)
    steps = config.max_steps or steps_per_epoch * epochs
    seen = examples * steps / max(steps_per_epoch, 1)
    eval_steps = None
    if config.eval_every is not None:
        share = config.eval_every < 1
        eval_steps = max(1, int(steps * config.eval_every if share else config.eval_every))
        if eval_steps > steps:
            raise InputError(
                f"train.eval_every={config.eval_every:g}: longer than the run's {steps} steps, "
                "so no checkpoint would be evaluated; use a share below 1"
            )
    return TrainPlan(pairs_per_epoch, steps, round(seen * pairs_per_example), eval_steps)


def train(
    reranker: Reranker,
    rows: Callable[[], Iterable[tuple[str, str, list[str]]]],
    negatives: int,
    plan: TrainPlan,
    config: TrainConfig,
    hardware: Hardware,
    seed: int,
    folder: Path,
    dev_score: Callable[[], float] | None,
    on_log: OnLog,
) -> None:
    """Train ``reranker`` in place; with dev evaluation, the best checkpoint is what remains.

    ``folder`` holds checkpoints and can be deleted afterwards.
    """
    evaluated = plan.eval_steps is not None and dev_score is not None
    interval: Mapping[str, object] = (
        {
            "eval_strategy": "steps",
            "eval_steps": plan.eval_steps,
            "save_strategy": "steps",
            "save_steps": plan.eval_steps,
            "save_total_limit": 1,
            "load_best_model_at_end": True,
            "greater_is_better": True,
        }
        if evaluated
        else {"eval_strategy": "no", "save_strategy": "no"}
    )
    arguments = {
        "output_dir": str(folder),
        "max_steps": plan.steps,
        "per_device_train_batch_size": config.batch_size,
        "gradient_accumulation_steps": config.gradient_accumulation,
        "learning_rate": config.learning_rate,
        "warmup_steps": config.warmup,  # transformers reads a number below 1 as a share
        "weight_decay": config.weight_decay,
        "bf16": hardware.precision == "bf16",
        "use_cpu": hardware.device == "cpu",
        "seed": seed,
        "data_seed": seed,
        "logging_steps": max(1, plan.steps // 50),
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": hardware.device == "cuda",
        **interval,
    }
    request = FitRequest(rows, negatives, arguments, dev_score if evaluated else None, on_log)
    reranker.fit(request)
