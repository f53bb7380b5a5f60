"""Is a difference between two rankings of the same queries more than chance?

Paired over queries: bootstrap intervals (Efron 1979) and randomisation tests (Fisher; Smucker,
Allan and Carterette 2007 for retrieval), corrected for many tests by Holm (1979). Intervals of
one sample and exact tests are scipy's; sampled tests agree with scipy.stats.permutation_test.
The plural functions do many runs at once, with the same resamples for all: a matrix product
instead of a draw per run, which is what makes a table of hundreds of runs a matter of seconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Values = NDArray[np.float64]

LEVEL = 0.05  # a p-value below this is more than chance, everywhere in this project

# Values drawn at a time: 8 MB an array, whatever the number of queries and resamples.
BATCH_VALUES = 1_000_000
# Sums of swaps that are as far from 0 but for this share of what is summed count as equal.
ROUNDING = 1e-6
COLUMNS_AT_A_TIME = 2048  # of intervals: 160 MB of means at 10,000 resamples


@dataclass(frozen=True)
class PairedDifference:
    """Treatment minus baseline, in the metric's unit.

    ``mean`` over the queries, its 95% bootstrap interval ``low``..``high``, and the two-sided
    ``p_value`` of the randomisation test.
    """

    mean: float
    low: float
    high: float
    p_value: float


def paired_difference(
    treatment: Mapping[str, float],
    baseline: Mapping[str, float],
    seed: int = 0,
    resamples: int = 10_000,
) -> PairedDifference:
    """Compare two runs by their per-query values; both map query id -> value.

    Raises:
        ValueError: the query ids differ, or there are none.
    """
    differences = _differences(treatment, baseline)
    low, high = _bootstrap_interval(differences, seed, resamples)
    p_value = randomisation_tests(differences[:, None], seed, resamples)[0]
    return PairedDifference(float(differences.mean()), low, high, p_value)


def randomisation_test(
    treatment: Mapping[str, float],
    baseline: Mapping[str, float],
    seed: int = 0,
    resamples: int = 10_000,
) -> float:
    """The p-value of paired_difference alone, for tables that show no interval."""
    return randomisation_tests(_differences(treatment, baseline)[:, None], seed, resamples)[0]


def interval(
    values: Mapping[str, float], seed: int = 0, resamples: int = 10_000
) -> tuple[float, float]:
    """95% bootstrap interval (percentile) of the mean over the queries.

    Raises:
        ValueError: there are no values.
    """
    return _bootstrap_interval(_array(values), seed, resamples)


def intervals(
    values: Values, base: Values | None = None, seed: int = 0, resamples: int = 10_000
) -> tuple[list[float], list[float]]:
    """The low and high ends of ``interval`` for every column of ``values`` (queries x columns).

    The queries drawn are those that scipy draws, so the ends are too (up to rounding). With
    ``base`` of the same shape they bound the relative gain, mean of values / mean of base - 1, on
    the same draws: dividing ends of the absolute gain by the base's mean would take that mean for
    a constant, though the gain depends on it. NaN where an end would be a division by 0.

    Raises:
        ValueError: there are no queries.
    """
    if not len(values):
        raise ValueError("no queries to compare")
    queries = len(values)
    if base is None:  # right where a column is constant
        low, high = values[0].copy(), values[0].copy()
        varying = np.flatnonzero(values.min(axis=0) < values.max(axis=0))
    else:
        low, high = np.zeros(values.shape[1]), np.zeros(values.shape[1])
        varying = np.flatnonzero((values != base).any(axis=0))
    for start in range(0, len(varying), COLUMNS_AT_A_TIME):
        columns = varying[start : start + COLUMNS_AT_A_TIME]
        drawn = values[:, columns]
        bases, which = (None, None) if base is None else _distinct(base[:, columns])
        rng = np.random.default_rng(seed)
        means = np.empty((resamples, len(columns)))
        for row in range(0, resamples, _batch(values)):
            rows = min(_batch(values), resamples - row)
            picks = rng.integers(0, queries, (rows, queries)) + queries * np.arange(rows)[:, None]
            counts = np.bincount(picks.ravel(), minlength=rows * queries).reshape(rows, queries)
            weights = counts.astype(np.float64)
            if bases is None:
                means[row : row + rows] = weights @ drawn / queries
            else:
                means[row : row + rows] = _relative(weights @ drawn, (weights @ bases)[:, which])
        with np.errstate(invalid="ignore"):  # between two infinite ones
            low[columns], high[columns] = np.percentile(means.T.copy(), [2.5, 97.5], axis=1)
    return _finite(low), _finite(high)


def enough_resamples(tests: int) -> int:
    """So many that the smallest p-value they allow stays below LEVEL / 2 after ``holm`` over all.

    At least 50,000, which shows more of a p-value; 40 a test from 1,250 tests on.
    """
    return max(50_000, round(2 / LEVEL) * tests)


def randomisation_tests(differences: Values, seed: int = 0, resamples: int = 10_000) -> list[float]:
    """The p-value of every column of ``differences`` (queries x tests), each 0 < p <= 1.

    A column's p-value is the share of the random swaps whose summed difference is at least as
    far from 0; the sum orders the swaps as the mean does. It does not depend on the other
    columns. Where few queries differ, 13 of them with 10,000 resamples, every swap is enumerated.
    """
    differing = np.count_nonzero(differences, axis=0)
    few = differing <= np.log2(resamples)
    p_values = np.ones(differences.shape[1])  # both signs of one difference are as extreme
    for test in np.flatnonzero(few & (differing >= 2)):
        column = differences[:, test]
        p_values[test] = _enumerated_p_value(column[column != 0], resamples)
    sampled = np.flatnonzero(~few)
    if not len(sampled):
        return [float(p_value) for p_value in p_values]
    # scipy's test draws its permutations value by value, 40 ns each: minutes for the table of a
    # sweep. Swapping the runs of a query flips a sign, so a product with random bits does it; in
    # single precision, as that takes half the time.
    drawn = np.ascontiguousarray(differences[:, sampled], dtype=np.float32)
    rng = np.random.default_rng(seed)
    totals = drawn.sum(axis=0)
    observed = np.abs(totals) - ROUNDING * np.abs(drawn).sum(axis=0)
    words = -(-len(drawn) // 64)
    extreme = np.zeros(len(sampled), dtype=np.int64)
    for start in range(0, resamples, _batch(drawn)):
        rows = min(_batch(drawn), resamples - start)
        random = rng.integers(0, 2**64, size=(rows, words), dtype=np.uint64)
        bits = np.unpackbits(random.view(np.uint8), axis=1, count=len(drawn))
        sums = bits.astype(np.float32) @ (2 * drawn)
        sums -= totals
        extreme += np.count_nonzero(np.abs(sums, out=sums) >= observed, axis=0)
    # The observed pattern counts as one of those drawn (Phipson and Smyth 2010), as in scipy.
    p_values[sampled] = (extreme + 1) / (resamples + 1)
    return [float(p_value) for p_value in p_values]


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted p-values, in the order given.

    The i-th smallest of m is multiplied by m - i + 1, then made monotone and cut at 1. Compare
    the result with the level itself: below 0.05 in any of them errs at most once in 20 tables.
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    for position, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - position) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def _distinct(columns: Values) -> tuple[Values, list[int]]:
    """The different columns, and for every column which one it is: many runs share a base."""
    places: dict[bytes, int] = {}
    which = [places.setdefault(column.tobytes(), len(places)) for column in columns.T]
    first = [which.index(place) for place in range(len(places))]
    return columns[:, first], which


def _relative(totals: Values, base: Values) -> Values:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(totals == base, 0.0, totals / base - 1)


def _finite(ends: Values) -> list[float]:
    return [float(end) for end in np.where(np.isfinite(ends), ends, np.nan)]


def _array(values: Mapping[str, float]) -> Values:
    """The values in the order of their ids, so that a seed gives one result."""
    if not values:
        raise ValueError("no queries to compare")
    return np.array([values[query] for query in sorted(values)], dtype=np.float64)


def _differences(treatment: Mapping[str, float], baseline: Mapping[str, float]) -> Values:
    if treatment.keys() != baseline.keys():
        differing = sorted(treatment.keys() ^ baseline.keys())
        raise ValueError(
            f"the runs must have the same queries, {len(differing)} differ, e.g. {differing[0]!r}"
        )
    return _array(treatment) - _array(baseline)


def _bootstrap_interval(values: Values, seed: int, resamples: int) -> tuple[float, float]:
    if values.min() == values.max():  # also one query, which scipy refuses
        return float(values[0]), float(values[0])
    result = stats.bootstrap(
        (values,),
        np.mean,
        confidence_level=0.95,
        method="percentile",
        n_resamples=resamples,
        batch=_batch(values),
        vectorized=True,
        rng=seed,
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def _enumerated_p_value(nonzero: Values, resamples: int) -> float:
    """Every one of the 2^n swaps; hit rates are exact in it, so that ties are ties."""
    result = stats.permutation_test(
        (nonzero,),
        lambda values, axis: np.sum(values, axis=axis),
        permutation_type="samples",  # of one sample: flips signs, which swaps the two runs
        n_resamples=resamples,
        vectorized=True,
        alternative="two-sided",
    )
    return float(result.pvalue)


def _batch(values: NDArray[Any]) -> int:
    """Resamples at a time: neither what is drawn nor what comes out is larger than wanted."""
    return max(1, BATCH_VALUES // max(len(values), values.size // len(values)))
