"""Bound means, gains and differences over queries by bootstrap intervals (Efron 1979).

A query is drawn for all columns of a matrix at once, so that a resample is a row of a matrix
product, and columns can be compared draw by draw. scipy draws its resamples one column at a
time, which takes minutes for a table of hundreds of runs.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

RESAMPLES = 10_000
COVERAGE = 95  # percent
# Values drawn at a time, 8 MB per array, whatever the number of queries and resamples.
BATCH_VALUES = 1_000_000


def interval(values: Mapping[str, float]) -> tuple[float, float]:
    """Return the 95% percentile interval of the mean over the queries; query id -> value.

    Raises:
        ValueError: there are no values.
    """
    (ends,) = intervals(by_id(values))
    return ends


def intervals(values: Values, seed: int = 0) -> list[tuple[float, float]]:
    """Return the low and high end of ``interval`` for every column of ``values``.

    ``values`` is queries x columns.

    Raises:
        ValueError: there are no queries.
    """
    return percentiles(resampled_means(values, seed))


def resampled_means(values: Values, seed: int = 0, resamples: int = RESAMPLES) -> Values:
    """Return the mean of every column in every resample, resamples x columns.

    The queries drawn are those that scipy.stats.bootstrap draws. They depend on ``seed`` and the
    number of queries only, so that matrices of the same queries can be compared row by row.

    Raises:
        ValueError: there are no queries.
    """
    queries, columns = values.shape
    if not queries:
        raise ValueError("no queries to compare")
    rng = np.random.default_rng(seed)
    means = np.empty((resamples, columns))
    batch = max(1, BATCH_VALUES // max(values.shape))
    for start in range(0, resamples, batch):
        stop = min(start + batch, resamples)
        means[start:stop] = _draw_counts(rng, stop - start, queries) @ values / queries
    return means


def resampled_gains(
    values: Values, base: Values, seed: int = 0, resamples: int = RESAMPLES
) -> Values:
    """Return mean of values / mean of base - 1 of every column in every resample.

    Each resample divides by its own mean of ``base``, so the uncertainty of that mean is included.
    A gain over a mean of 0 is infinite; no gain is 0.

    Raises:
        ValueError: there are no queries.
    """
    first: dict[bytes, int] = {}  # many runs share one base, of which one copy is enough
    same = [first.setdefault(column.tobytes(), i) for i, column in enumerate(base.T)]
    distinct = list(first.values())
    gains = resampled_means(values - base, seed, resamples)
    totals = resampled_means(base[:, distinct], seed, resamples)
    for column, position in enumerate(map(distinct.index, same)):
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = gains[:, column] / totals[:, position]
        gains[:, column] = np.where(gains[:, column] == 0, 0.0, relative)
    return gains


def percentiles(drawn: Values) -> list[tuple[float, float]]:
    """Return the 95% percentile interval of every column of ``drawn``, each on its own."""
    tail = (100 - COVERAGE) / 2
    with np.errstate(invalid="ignore"):  # between two infinite estimates
        ends = np.percentile(drawn, [tail, 100 - tail], axis=0)
    return _pairs(*np.where(np.isfinite(ends), ends, np.nan))


def simultaneous(estimates: Sequence[float] | Values, drawn: Values) -> list[tuple[float, float]]:
    """Return 95% intervals that hold for all columns at once, so also for one chosen by its value.

    Each interval is the estimate plus and minus a factor times its standard deviation over the
    draws. The factor is the 95th percentile of the largest standardised deviation of a draw (the
    bootstrap's max-T; Romano and Wolf 2005). ``drawn`` is resamples x columns around ``estimates``.
    A column with draws that are not finite has no interval, NaN.
    """
    centres = np.asarray(estimates, dtype=np.float64)
    usable = np.isfinite(drawn).all(axis=0) & np.isfinite(centres)
    widths = np.full(len(centres), np.nan)
    widths[usable] = drawn[:, usable].std(axis=0)
    largest = np.zeros(len(drawn))
    for column in np.flatnonzero(widths > 0):
        deviation = np.abs(drawn[:, column] - centres[column]) / widths[column]
        np.maximum(largest, deviation, out=largest)
    half = np.percentile(largest, COVERAGE) * widths
    return _pairs(centres - half, centres + half)


def to_chosen(chosen: int, estimates: Values, drawn: Values) -> list[tuple[float, float]]:
    """Return 95% intervals of the difference of every column to ``chosen``, picked by its value.

    They are made as by ``simultaneous``, for the differences of all pairs of columns at once. So
    they hold whichever column was picked; intervals for the differences to one column would
    exclude 0 in a quarter of all tables of 20 equal columns. That of ``chosen`` itself is 0 to 0.
    """
    deviations = drawn - estimates
    largest = np.zeros(len(drawn))
    for column in range(1, deviations.shape[1]):
        pairs = deviations[:, :column] - deviations[:, [column]]
        widths = pairs.std(axis=0)
        differ = widths > 0
        standardised = np.abs(pairs[:, differ]) / widths[differ]
        np.maximum(largest, standardised.max(axis=1, initial=0), out=largest)
    centres = estimates - estimates[chosen]
    half = np.percentile(largest, COVERAGE) * (deviations - deviations[:, [chosen]]).std(axis=0)
    return _pairs(centres - half, centres + half)


def by_id(values: Mapping[str, float]) -> Values:
    """Return the values as a matrix of one column, in the order of their ids."""
    return np.array([[values[query]] for query in sorted(values)]).reshape(-1, 1)


def _draw_counts(rng: np.random.Generator, resamples: int, queries: int) -> Values:
    """Draw queries with replacement; return how often each was drawn, resamples x queries."""
    picks = rng.integers(0, queries, (resamples, queries))
    picks += queries * np.arange(resamples)[:, None]
    counts = np.bincount(picks.ravel(), minlength=resamples * queries)
    return counts.reshape(resamples, queries).astype(np.float64)


def _pairs(low: Values, high: Values) -> list[tuple[float, float]]:
    return list(zip(low.tolist(), high.tolist(), strict=True))
