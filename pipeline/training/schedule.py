"""How many steps a run trains, how many pairs it sees, and when it evaluates on the dev queries."""

import math
from dataclasses import dataclass
from typing import Literal

from pipeline.config.training import TrainConfig
from pipeline.records import InputError

PAIRWISE = ("bce", "mse")
"""Losses that read one passage of a query at a time."""

LISTWISE = ("lambda", "ranknet", "listnet", "kl")
"""Losses that read the list of all passages of a query."""

IN_BATCH = ("contrastive", "mnrl")
"""Losses that take the other passages of a batch as negatives."""


@dataclass(frozen=True)
class Schedule:
    """How much a run trains: the same on every machine."""

    loss: str
    negatives: int  # per query
    steps: int  # optimiser steps
    pairs: int  # (query, passage) pairs seen in all steps
    eval_steps: int | None  # steps from one dev evaluation to the next; None: no evaluation


def counted_by(loss: str) -> Literal["pairs", "rows", "queries"]:
    """Name what one example of ``loss`` is, which is what a batch counts."""
    if loss in PAIRWISE:
        return "pairs"
    return "queries" if loss in LISTWISE else "rows"


def plan(
    loss: str, rows: int, queries: int, negatives: int, epochs: int, config: TrainConfig
) -> Schedule:
    """Count steps and pairs of a run over ``rows`` (query, relevant passage) rows of ``queries``.

    A batch counts pairs for a pairwise loss, queries with the list of their passages for a
    listwise loss, and rows with their negatives for the other losses.

    Raises:
        InputError: ``train.eval_every`` is longer than the run, so no checkpoint would be compared.
    """
    unit = counted_by(loss)
    pairs_per_epoch = rows + queries * negatives if unit == "queries" else rows * (1 + negatives)
    examples = {"pairs": pairs_per_epoch, "rows": rows, "queries": queries}[unit]
    batches = math.ceil(examples / config.batch_size)
    steps_per_epoch = math.ceil(batches / config.gradient_accumulation)
    steps = config.max_steps or steps_per_epoch * epochs
    seen = pairs_per_epoch * steps / max(steps_per_epoch, 1)
    return Schedule(loss, negatives, steps, round(seen), _eval_steps(config, steps))


def warm_up(config: TrainConfig, steps: int) -> float:
    """Return the share of the steps in which the learning rate rises; 0 if that is below one step.

    It rises from 0, so the first of these steps changes nothing. The library has at least one such
    step, which a training of a few steps can't spare.
    """
    return config.warmup if config.warmup * steps >= 1 else 0.0


def _eval_steps(config: TrainConfig, steps: int) -> int | None:
    """Turn ``train.eval_every``, a share of the steps if below 1, into a number of steps.

    At least two while the first step changes nothing, so that the start is not taken for a
    trained model.
    """
    every = config.eval_every
    if every is None:
        return None
    first = 2 if warm_up(config, steps) else 1
    eval_steps = max(first, int(steps * every if every < 1 else every))
    if eval_steps > steps:
        raise InputError(
            f"train.eval_every={every:g}: longer than the run's {steps} steps, "
            "so no checkpoint would be evaluated; use a share below 1"
        )
    return eval_steps
