"""What the queries say about the figures of a comparison: intervals and tests.

Hundreds of runs are tested at once, as columns of a matrix, with the same resamples for all. The
tests of one metric, those of its whole table, are one family for Holm's correction.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import isnan, nan

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.significance import (
    LEVEL,
    enough_resamples,
    holm,
    intervals,
    randomisation_tests,
)
from pipeline.records import SEARCHES
from pipeline.report.points import Point
from pipeline.tracking.reader import RunRecord

COLUMNS = {f"{mode}_{stage}": mode for mode in SEARCHES for stage in ("reranked", "fused")}
"""The stages that a table compares, each with the search it starts from."""


@dataclass(frozen=True)
class Gain:
    """A point's gain in one column, over the queries.

    ``low``..``high`` is the 95% interval of the relative gain, ``p_value`` that of the test,
    Holm-corrected over the metric's table.
    """

    low: float
    high: float
    p_value: float


@dataclass(frozen=True)
class Evidence:
    """What the queries say: (point, column, metric) -> gain, and what is said of columns."""

    gains: dict[tuple[int, str, str], Gain]
    as_good: dict[tuple[str, str], set[int]]
    half_widths: dict[tuple[str, str], float]


def weigh(runs: Sequence[Point], metrics: Sequence[str]) -> Evidence:
    """All tests and intervals of the tables of ``metrics``, such as ``ndcg_at_10``."""
    return Evidence(_gains(runs, metrics), _as_good(runs, metrics), _half_widths(runs, metrics))


def _gains(runs: Sequence[Point], metrics: Sequence[str]) -> dict[tuple[int, str, str], Gain]:
    """(Point, column, metric) -> what the queries say about the gain, all in one go."""
    keys, reranked, alone = [], [], []
    for i, run in enumerate(runs):
        for metric in metrics:
            for column, mode in COLUMNS.items():
                treatment, first_stage = run.values.of(column, metric), run.values.of(mode, metric)
                if treatment is not None and first_stage is not None:
                    keys.append((i, column, metric))
                    reranked.append(treatment)
                    alone.append(first_stage)
    ends: dict[tuple[int, str, str], tuple[float, float]] = {}
    for chosen in _same_length(reranked):
        treatments, bases = (np.column_stack([s[i] for i in chosen]) for s in (reranked, alone))
        found = zip(*intervals(treatments, bases), strict=True)
        ends |= {keys[i]: pair for i, pair in zip(chosen, found, strict=True)}
    differences = [treatment - base for treatment, base in zip(reranked, alone, strict=True)]
    p_values = _tests(differences, [metric for _, _, metric in keys])
    return {key: Gain(*ends[key], p_value) for key, p_value in zip(keys, p_values, strict=True)}


def _tests(differences: Sequence[NDArray[np.float64]], families: Sequence[str]) -> list[float]:
    """The p-value of every column of differences, Holm-corrected over those of its family."""
    resamples = enough_resamples(max(Counter(families).values(), default=0))
    p_values = [nan] * len(differences)
    for chosen in _same_length(differences):
        matrix = np.column_stack([differences[i] for i in chosen])
        for i, p_value in zip(
            chosen, randomisation_tests(matrix, resamples=resamples), strict=True
        ):
            p_values[i] = p_value
    for family in set(families):
        members = [i for i, name in enumerate(families) if name == family]
        corrected = holm([p_values[i] for i in members])
        for i, p_value in zip(members, corrected, strict=True):
            p_values[i] = p_value
    return p_values


def _same_length(columns: Sequence[NDArray[np.float64]]) -> list[list[int]]:
    """The positions of columns with equally many queries, so that they fit into a matrix."""
    positions: dict[int, list[int]] = {}
    for i, column in enumerate(columns):
        positions.setdefault(len(column), []).append(i)
    return list(positions.values())


def _half_widths(runs: Sequence[Point], metrics: Sequence[str]) -> dict[tuple[str, str], float]:
    """(Mode, metric) -> half the interval of the search alone; controls come first."""
    keys, columns = [], []
    for mode, metric in product(SEARCHES, metrics):
        found = (run.values.of(mode, metric) for run in runs)
        values = next((column for column in found if column is not None), None)
        if values is not None:
            keys.append((mode, metric))
            columns.append(values)
    widths: dict[tuple[str, str], float] = {}
    for chosen in _same_length(columns):
        ends = zip(*intervals(np.column_stack([columns[i] for i in chosen])), strict=True)
        widths |= {keys[i]: (high - low) / 2 for i, (low, high) in zip(chosen, ends, strict=True)}
    return widths


def _as_good(runs: Sequence[Point], metrics: Sequence[str]) -> dict[tuple[str, str], set[int]]:
    """(Column, metric) -> the points that a test can't tell from the column's best."""
    best = {}
    for column, metric in product(COLUMNS, metrics):
        values = {i: value_of(run, column, metric) for i, run in enumerate(runs)}
        there = [i for i in values if _stage_values(runs[i], column, metric) is not None]
        there = [i for i in there if not isnan(values[i])]
        if there:
            best[column, metric] = max(there, key=values.__getitem__)
    tested = _p_values(runs, best)
    return {key: {i for i, p in of.items() if p >= LEVEL} for key, of in tested.items()}


def p_values_against(
    runs: Sequence[Point], baseline: int, metrics: Sequence[str]
) -> dict[tuple[str, str], dict[int, float]]:
    """(Column, metric) -> p-value of every other point against ``runs[baseline]``.

    Holm-corrected over the metric's table.
    """
    return _p_values(runs, dict.fromkeys(product(COLUMNS, metrics), baseline))


def _p_values(
    runs: Sequence[Point], references: Mapping[tuple[str, str], int]
) -> dict[tuple[str, str], dict[int, float]]:
    """(Column, metric) -> point -> p-value against the column's reference, Holm over the metric's.

    Of the points that have other values than the reference, on the same queries.
    """
    keys, differences = [], []
    for (column, metric), reference in references.items():
        theirs = _stage_values(runs[reference], column, metric)
        for i, run in enumerate(runs):
            values = _stage_values(run, column, metric)
            if theirs is None or values is None:
                continue
            value, other = value_of(run, column, metric), value_of(runs[reference], column, metric)
            same = run.values.queries == runs[reference].values.queries
            if same and not isnan(value) and value != other:
                keys.append((column, metric, i))
                differences.append(values - theirs)
    p_values: dict[tuple[str, str], dict[int, float]] = {}
    tested = _tests(differences, [metric for _, metric, _ in keys])
    for (column, metric, i), p_value in zip(keys, tested, strict=True):
        p_values.setdefault((column, metric), {})[i] = p_value
    return p_values


def _stage(run: RunRecord, column: str) -> str:
    """In the row of the control the search alone stands in for what is made of it."""
    return COLUMNS[column] if run.tags.get("initialisation") == "none" else column


def value_of(run: Point, column: str, metric: str) -> float:
    """The mean over the queries; NaN if it was not logged."""
    return run.metrics.get(f"{_stage(run, column)}/{metric}", nan)


def _stage_values(run: Point, column: str, metric: str) -> NDArray[np.float64] | None:
    return run.values.of(_stage(run, column), metric)
