"""Compute the intervals and tests of a comparison, from the values of its queries.

Hundreds of points are tested at once, as columns of a matrix, with the same resamples for all. The
tests of one metric, which is one table, are one family for Holm's correction.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import TypeVar

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

COLUMNS = {f"{search}_{order}": search for search in SEARCHES for order in ("reranked", "fused")}
"""The columns of a table, each with the search that it starts from."""

Key = TypeVar("Key", bound=Hashable)
Column = NDArray[np.float64]
Place = tuple[int, str]
"""The position of a point and the name of a column."""


@dataclass(frozen=True)
class Evidence:
    """What the queries say of one metric's table.

    ``gains`` are 95% intervals of the relative gain over the search alone. ``p_gains`` and
    ``p_baseline`` are Holm-corrected p-values, of the gain and of the difference to the named
    baseline. ``as_good`` holds the places that a test can't tell from the best of their column.
    ``half_widths`` maps a search to half the 95% interval of the search alone.
    """

    gains: dict[Place, tuple[float, float]]
    p_gains: dict[Place, float]
    p_baseline: dict[Place, float]
    as_good: set[Place]
    half_widths: dict[str, float]


def weigh(points: Sequence[Point], metric: str, baseline: int | None = None) -> Evidence:
    """Compute all tests and intervals of the table of ``metric``, such as ``ndcg_at_10``.

    ``baseline`` is the position of the point that the others are tested against as well.
    """
    treatments: dict[Place, Column] = {}
    bases: dict[Place, Column] = {}
    for i, point in enumerate(points):
        for column, search in COLUMNS.items():
            treatment, base = point.values.of(column, metric), point.values.of(search, metric)
            if treatment is not None and base is not None:
                treatments[i, column], bases[i, column] = treatment, base
    differences = {place: treatments[place] - bases[place] for place in treatments}
    against_best = _p_values(points, metric, _best(points, metric))
    named = {} if baseline is None else dict.fromkeys(COLUMNS, baseline)
    return Evidence(
        gains=bootstrap(treatments, bases),
        p_gains=corrected_p_values(differences),
        p_baseline=_p_values(points, metric, named),
        as_good={place for place, p_value in against_best.items() if p_value >= LEVEL},
        half_widths=_half_widths(points, metric),
    )


def order_of(column: str) -> str:
    """Return ``reranked`` or ``fused``."""
    return column.removeprefix(f"{COLUMNS[column]}_")


def bootstrap(
    columns: Mapping[Key, Column], bases: Mapping[Key, Column] | None = None
) -> dict[Key, tuple[float, float]]:
    """Return the 95% interval of every column's mean, or of its relative gain over its base."""
    ends: dict[Key, tuple[float, float]] = {}
    for keys in _same_length(columns):
        matrix = np.column_stack([columns[key] for key in keys])
        base = None if bases is None else np.column_stack([bases[key] for key in keys])
        ends.update(zip(keys, intervals(matrix, base), strict=True))
    return ends


def corrected_p_values(differences: Mapping[Key, Column]) -> dict[Key, float]:
    """Test every column of differences against 0, Holm-corrected over all of them."""
    resamples = enough_resamples(len(differences))
    p_values: dict[Key, float] = {}
    for keys in _same_length(differences):
        matrix = np.column_stack([differences[key] for key in keys])
        p_values.update(zip(keys, randomisation_tests(matrix, resamples=resamples), strict=True))
    return dict(zip(p_values, holm(list(p_values.values())), strict=True))


def value_of(point: Point, column: str, metric: str) -> float:
    """Return the mean over the queries; NaN if it was not logged."""
    return point.metrics.get(f"{_shown(point, column)}/{metric}", nan)


def _shown(point: Point, column: str) -> str:
    """Return the column itself; in the row of a control, the search alone."""
    return COLUMNS[column] if point.group == "none" else column


def _same_length(columns: Mapping[Key, Column]) -> list[list[Key]]:
    """Return the keys of columns with equally many queries, which fit into one matrix."""
    keys: dict[int, list[Key]] = {}
    for key, column in columns.items():
        keys.setdefault(len(column), []).append(key)
    return list(keys.values())


def _half_widths(points: Sequence[Point], metric: str) -> dict[str, float]:
    """Half the interval of every search alone, from the first point that has its values."""
    alone: dict[str, Column] = {}
    for search in SEARCHES:
        for point in points:
            values = point.values.of(search, metric)
            if values is not None:
                alone.setdefault(search, values)
    return {search: (high - low) / 2 for search, (low, high) in bootstrap(alone).items()}


def _best(points: Sequence[Point], metric: str) -> dict[str, int]:
    """Column -> the position of the best point that has per-query values."""
    best = {}
    for column in COLUMNS:
        values = {
            i: value_of(point, column, metric)
            for i, point in enumerate(points)
            if point.values.of(_shown(point, column), metric) is not None
        }
        known = [i for i, value in values.items() if not isnan(value)]
        if known:
            best[column] = max(known, key=values.__getitem__)
    return best


def _p_values(
    points: Sequence[Point], metric: str, references: Mapping[str, int]
) -> dict[Place, float]:
    """Test every point against its column's reference, a position; Holm over the table.

    A point is left out if its mean equals the reference's, or if its queries are others.
    """
    differences: dict[Place, Column] = {}
    for column, position in references.items():
        reference = points[position]
        theirs = reference.values.of(_shown(reference, column), metric)
        for i, point in enumerate(points):
            ours = point.values.of(_shown(point, column), metric)
            if ours is None or theirs is None:
                continue
            value = value_of(point, column, metric)
            same_queries = point.values.queries == reference.values.queries
            equal = isnan(value) or value == value_of(reference, column, metric)
            if same_queries and not equal:
                differences[i, column] = ours - theirs
    return corrected_p_values(differences)
