"""Compute the intervals and tests of a comparison, from the values of its queries.

Hundreds of points are tested at once, as columns of a matrix, with the same resamples for all. The
tests of one metric, which is one table, are one family for the correction of p-values.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import TypeVar

import numpy as np

from pipeline.evaluation.bootstrap import (
    intervals,
    percentiles,
    resampled_gains,
    resampled_means,
    simultaneous,
    to_chosen,
)
from pipeline.evaluation.significance import max_t
from pipeline.records import SEARCHES
from pipeline.report.points import Column, Point

COLUMNS = {f"{search}_{order}": search for search in SEARCHES for order in ("reranked", "fused")}
"""The columns of a table, each with the search that it starts from."""

Key = TypeVar("Key", bound=Hashable)
Ends = tuple[float, float]
"""The low and the high end of a 95% interval."""
Place = tuple[int, str]
"""The position of a point and the name of a column."""


@dataclass(frozen=True)
class Evidence:
    """What the queries say of one metric's table.

    ``gains`` are intervals of the relative gain over the search alone, each on its own;
    ``chosen_gains`` hold for all places at once, so also for one that was chosen by its value.
    ``p_gains`` and ``p_baseline`` are corrected p-values, of the gain and of the difference to the
    named baseline. ``to_best`` are intervals of the difference to the best of the column, which
    hold whichever point came out best. ``half_widths`` maps a search to half the interval of the
    search alone.
    """

    gains: dict[Place, Ends]
    chosen_gains: dict[Place, Ends]
    p_gains: dict[Place, float]
    p_baseline: dict[Place, float]
    to_best: dict[Place, Ends]
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
    gains, chosen = relative_gains(treatments, bases)
    named: dict[str, int] = {} if baseline is None else dict.fromkeys(COLUMNS, baseline)
    differences = [_differences(points, metric, *reference) for reference in named.items()]
    return Evidence(
        gains=gains,
        chosen_gains=chosen,
        p_gains=corrected_p_values({key: treatments[key] - bases[key] for key in treatments}),
        p_baseline=corrected_p_values({k: d for column in differences for k, d in column.items()}),
        to_best=_to_best(points, metric),
        half_widths=_half_widths(points, metric),
    )


def order_of(column: str) -> str:
    """Return ``reranked`` or ``fused``."""
    return column.removeprefix(f"{COLUMNS[column]}_")


def mean_intervals(columns: Mapping[Key, Column]) -> dict[Key, Ends]:
    """Return the interval of every column's mean, each on its own."""
    ends: dict[Key, Ends] = {}
    for keys in _same_length(columns):
        ends.update(zip(keys, intervals(_matrix(columns, keys)), strict=True))
    return ends


def relative_gains(
    columns: Mapping[Key, Column], bases: Mapping[Key, Column]
) -> tuple[dict[Key, Ends], dict[Key, Ends]]:
    """Return 95% intervals of every column's relative gain: alone, and for all columns at once.

    The second is made on the log scale. A column with a mean of 0 in a draw has none.
    """
    alone: dict[Key, Ends] = {}
    drawn, estimates = [], []
    for keys in _same_length(columns):
        drawn.append(resampled_gains(_matrix(columns, keys), _matrix(bases, keys)))
        alone.update(zip(keys, percentiles(drawn[-1]), strict=True))
        estimates += [_gain(columns[key], bases[key]) for key in keys]
    if not drawn:
        return {}, {}
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log1p(estimates), np.log1p(np.concatenate(drawn, axis=1))
    at_once = [(float(np.expm1(low)), float(np.expm1(high))) for low, high in simultaneous(*logs)]
    return alone, dict(zip(alone, at_once, strict=True))


def corrected_p_values(differences: Mapping[Key, Column]) -> dict[Key, float]:
    """Test every column of differences against 0, corrected for all of them by max-T.

    Columns over another number of queries are a family of their own; the p-values are then
    multiplied by the number of families.
    """
    p_values: dict[Key, float] = {}
    families = _same_length(differences)
    for keys in families:
        found = max_t(_matrix(differences, keys))
        p_values |= {k: min(1.0, len(families) * p) for k, p in zip(keys, found, strict=True)}
    return p_values


def value_of(point: Point, column: str, metric: str) -> float:
    """Return the mean over the queries; NaN if it was not logged."""
    return point.metrics.get(f"{_shown(point, column)}/{metric}", nan)


def _shown(point: Point, column: str) -> str:
    """Return the column itself; in the row of a control, the search alone."""
    return COLUMNS[column] if point.group == "none" else column


def _gain(values: Column, base: Column) -> float:
    mean = float(base.mean())
    return float((values - base).mean()) / mean if mean else nan


def _same_length(columns: Mapping[Key, Column]) -> list[list[Key]]:
    """Return the keys of columns with equally many queries, which fit into one matrix."""
    keys: dict[int, list[Key]] = {}
    for key, column in columns.items():
        keys.setdefault(len(column), []).append(key)
    return list(keys.values())


def _matrix(columns: Mapping[Key, Column], keys: Sequence[Key]) -> Column:
    return np.column_stack([columns[key] for key in keys])


def _half_widths(points: Sequence[Point], metric: str) -> dict[str, float]:
    """Half the interval of every search alone, from the first point that has its values."""
    alone: dict[str, Column] = {}
    for search in SEARCHES:
        for point in points:
            values = point.values.of(search, metric)
            if values is not None:
                alone.setdefault(search, values)
    return {search: (high - low) / 2 for search, (low, high) in mean_intervals(alone).items()}


def _to_best(points: Sequence[Point], metric: str) -> dict[Place, Ends]:
    """Return the intervals of the difference to the best of every column, in the metric's unit."""
    known: dict[Place, Column] = {}
    bests: dict[str, int] = {}
    for column in COLUMNS:
        means = {i: value_of(point, column, metric) for i, point in enumerate(points)}
        columns = {
            i: values
            for i, point in enumerate(points)
            if (values := point.values.of(_shown(point, column), metric)) is not None
            and not isnan(means[i])
        }
        if columns:
            best = bests[column] = max(columns, key=means.__getitem__)
            queries = points[best].values.queries
            same = [i for i in columns if points[i].values.queries == queries]
            known |= {(i, column): columns[i] for i in same}
    ends: dict[Place, Ends] = {}
    for places in _same_length(known):
        matrix = _matrix(known, places)
        drawn, estimates = resampled_means(matrix), matrix.mean(axis=0)
        for column, best in bests.items():
            chosen = [i for i, place in enumerate(places) if place[1] == column]
            if (best, column) in places:
                bounds = to_chosen(
                    [places[i] for i in chosen].index((best, column)),
                    estimates[chosen],
                    drawn[:, chosen],
                )
                ends.update(zip((places[i] for i in chosen), bounds, strict=True))
    for column, best in bests.items():
        del ends[best, column]
    return ends


def _differences(
    points: Sequence[Point], metric: str, column: str, reference: int
) -> dict[Place, Column]:
    """Return the values of every other point minus those of the one at ``reference``.

    A point with other queries is left out.
    """
    theirs = points[reference].values
    base = theirs.of(_shown(points[reference], column), metric)
    found: dict[Place, Column] = {}
    for i, point in enumerate(points):
        ours = point.values.of(_shown(point, column), metric)
        same = point.values.queries == theirs.queries and i != reference
        if ours is not None and base is not None and same:
            found[i, column] = ours - base
    return found
