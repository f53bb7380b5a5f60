"""Test whether a difference between two rankings of the same queries is more than chance.

Paired over queries: bootstrap intervals (Efron 1979) and randomisation tests (Fisher 1935; Smucker,
Allan and Carterette 2007 for retrieval), corrected for many tests by Holm (1979). A query is
resampled for all columns of a matrix at once, so that a resample is a row of a matrix product.
scipy draws its resamples one test at a time, which takes minutes for a table of hundreds of runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Values = NDArray[np.float64]

LEVEL = 0.05
"""A p-value below this counts as more than chance, everywhere in this project."""

# Values drawn at a time, 8 MB per array, whatever the number of queries and resamples.
BATCH_VALUES = 1_000_000
# Swaps count as equally far from 0 if they differ by less than this share of what is summed.
ROUNDING = 1e-6


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
    if treatment.keys() != baseline.keys():
        differing = sorted(treatment.keys() ^ baseline.keys())
        raise ValueError(
            f"the runs must have the same queries, {len(differing)} differ, e.g. {differing[0]!r}"
        )
    differences = _column(treatment) - _column(baseline)
    ((low, high),) = intervals(differences, seed=seed, resamples=resamples)
    (p_value,) = randomisation_tests(differences, seed, resamples)
    return PairedDifference(float(differences.mean()), low, high, p_value)


def interval(
    values: Mapping[str, float], seed: int = 0, resamples: int = 10_000
) -> tuple[float, float]:
    """Return the 95% bootstrap interval (percentile) of the mean over the queries.

    Raises:
        ValueError: there are no values.
    """
    (ends,) = intervals(_column(values), seed=seed, resamples=resamples)
    return ends


def intervals(
    values: Values, base: Values | None = None, seed: int = 0, resamples: int = 10_000
) -> list[tuple[float, float]]:
    """Return the low and high end of ``interval`` for every column of ``values``.

    ``values`` is queries x columns. The queries drawn are those that scipy.stats.bootstrap draws,
    so the ends are the same up to rounding.

    With ``base`` of the same shape the ends bound the relative gain, mean of values / mean of
    base - 1, on the same draws. Dividing the ends of the absolute gain by the base's mean would
    take that mean for a constant. An end is NaN where it would be a division by 0.

    Raises:
        ValueError: there are no queries.
    """
    queries, columns = values.shape
    if not queries:
        raise ValueError("no queries to compare")
    if base is not None:  # many runs share one base
        bases, which = np.unique(base, axis=1, return_inverse=True)
    rng = np.random.default_rng(seed)
    estimates = np.empty((columns, resamples))
    batch = _batch(values)
    for start in range(0, resamples, batch):
        stop = min(start + batch, resamples)
        weights = _draw_counts(rng, stop - start, queries)
        if base is None:
            drawn = weights @ values / queries
        else:
            gains, totals = weights @ (values - base), (weights @ bases)[:, which.ravel()]
            with np.errstate(divide="ignore", invalid="ignore"):
                drawn = np.where(gains == 0, 0.0, gains / totals)
        estimates[:, start:stop] = drawn.T
    with np.errstate(invalid="ignore"):  # between two infinite estimates
        ends = np.percentile(estimates, [2.5, 97.5], axis=1, overwrite_input=True)
    low, high = np.where(np.isfinite(ends), ends, np.nan).tolist()
    return list(zip(low, high, strict=True))


def enough_resamples(tests: int) -> int:
    """Return enough resamples that p can stay below LEVEL / 2 after ``holm`` over ``tests`` tests.

    At least 50,000, which gives a p-value more digits; 40 per test from 1,250 tests on.
    """
    return max(50_000, round(2 / LEVEL) * tests)


def randomisation_tests(differences: Values, seed: int = 0, resamples: int = 10_000) -> list[float]:
    """Return the p-value of every column of ``differences`` (queries x tests), each 0 < p <= 1.

    A column's p-value is the share of the random swaps whose summed difference is at least as
    far from 0; the sum orders the swaps as the mean does. It does not depend on the other
    columns. Where few queries differ, 13 of them with 10,000 resamples, every swap is enumerated.
    """
    differing = np.count_nonzero(differences, axis=0)
    few = differing <= np.log2(resamples)
    p_values = np.ones(differences.shape[1])  # both signs of one difference are as extreme
    for test in np.flatnonzero(few & (differing >= 2)):
        p_values[test] = _enumerated_p_value(differences[:, test], resamples)
    if not few.all():
        p_values[~few] = _sampled_p_values(differences[:, ~few], seed, resamples)
    return [float(p_value) for p_value in p_values]


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's (1979) adjusted p-values, in the order given.

    The i-th smallest of m is multiplied by m - i + 1, then made monotone and cut at 1. Compare
    the result with the level itself: below 0.05 in any of them errs at most once in 20 tables.
    """
    raw = np.asarray(p_values)
    order = np.argsort(raw)
    factors = np.arange(len(raw), 0, -1)
    adjusted = np.empty(len(raw))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(factors * raw[order]))
    return [float(p_value) for p_value in adjusted]


def _column(values: Mapping[str, float]) -> Values:
    """Return the values as a matrix of one column, in the order of their ids."""
    return np.array([[values[query]] for query in sorted(values)]).reshape(-1, 1)


def _draw_counts(rng: np.random.Generator, resamples: int, queries: int) -> Values:
    """Draw queries with replacement; return how often each was drawn, resamples x queries."""
    picks = rng.integers(0, queries, (resamples, queries))
    picks += queries * np.arange(resamples)[:, None]
    counts = np.bincount(picks.ravel(), minlength=resamples * queries)
    return counts.reshape(resamples, queries).astype(np.float64)


def _sampled_p_values(differences: Values, seed: int, resamples: int) -> Values:
    # Swapping the runs of a query flips a sign, so random bits stand for the swaps. Single
    # precision takes half the time of double.
    doubled = np.ascontiguousarray(2 * differences, dtype=np.float32)
    totals = doubled.sum(axis=0) / 2
    observed = np.abs(totals) - ROUNDING * np.abs(doubled).sum(axis=0) / 2
    queries, tests = differences.shape
    words = -(-queries // 64)
    extreme = np.zeros(tests, dtype=np.int64)
    rng = np.random.default_rng(seed)
    batch = _batch(differences)
    for start in range(0, resamples, batch):
        rows = min(batch, resamples - start)
        random = rng.integers(0, 2**64, size=(rows, words), dtype=np.uint64)
        bits = np.unpackbits(random.view(np.uint8), axis=1, count=queries)
        sums = bits.astype(np.float32) @ doubled - totals
        extreme += np.count_nonzero(np.abs(sums) >= observed, axis=0)
    # The observed pattern counts as one of those drawn (Phipson and Smyth 2010), as in scipy.
    return np.asarray((extreme + 1) / (resamples + 1))


def _enumerated_p_value(differences: Values, resamples: int) -> float:
    """Return the exact p-value over the 2^n swaps of the n queries that differ."""
    result = stats.permutation_test(
        (differences[differences != 0],),
        lambda values, axis: np.sum(values, axis=axis),
        permutation_type="samples",  # of one sample: flips signs, which swaps the two runs
        n_resamples=resamples,
        vectorized=True,
        alternative="two-sided",
    )
    return float(result.pvalue)


def _batch(values: Values) -> int:
    """Return how many resamples to draw at a time, so that no array exceeds BATCH_VALUES."""
    return max(1, BATCH_VALUES // int(max(values.shape)))
