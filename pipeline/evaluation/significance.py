"""Test whether a difference between two rankings of the same queries is more than chance.

Paired over queries: randomisation tests (Fisher 1935; Smucker, Allan and Carterette 2007 for
retrieval), for many tests at once by Westfall and Young's step-down max-T (1993). The swaps of a
query are drawn for all columns of a matrix at once, so that a resample is a row of a matrix
product.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.bootstrap import BATCH_VALUES, RESAMPLES, Values, by_id, intervals

Sums = NDArray[np.float32]

LEVEL = 0.05
"""A p-value below this counts as more than chance, everywhere in this project."""

SWAPS = 20_000  # resamples of a table; a corrected p of 0.05 is then known to 0.003
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
    differences = by_id(treatment) - by_id(baseline)
    ((low, high),) = intervals(differences, seed)
    (p_value,) = max_t(differences, seed, RESAMPLES)
    return PairedDifference(float(differences.mean()), low, high, p_value)


def max_t(differences: Values, seed: int = 0, resamples: int = SWAPS) -> list[float]:
    """Return the p-value of every column of ``differences`` (queries x tests), each 0 < p <= 1.

    The p-values are corrected for the number of columns: if no column has a true difference, any of
    them is below 0.05 in one table of 20. A column's statistic is |sum| / root of the sum of
    squares, which orders the swaps as Student's t does. Its p-value is the share of the random
    swaps in which the largest statistic among it and the less extreme columns reaches its own.
    Correlated columns count as few tests, unlike in Holm's correction. With one column it is the
    plain randomisation test. If few queries differ (14 with 20,000 resamples), every swap is
    enumerated.
    """
    scale = np.sqrt(np.sum(differences**2, axis=0))
    scaled = differences / np.where(scale > 0, scale, 1.0)
    statistics = np.abs(scaled.sum(axis=0))
    order = np.argsort(-statistics, kind="stable")
    scaled = scaled[:, order]
    reached = statistics[order] - ROUNDING * np.abs(scaled).sum(axis=0)
    extreme, drawn = np.zeros(len(order), dtype=np.int64), 0
    differing = scaled[np.any(scaled != 0, axis=1)]
    enumerated = len(differing) <= np.log2(resamples)
    sums = _every_swap(differing) if enumerated else _random_swaps(scaled, seed, resamples)
    for batch in sums:
        # From the right: the largest of this column and of those less extreme.
        largest = np.maximum.accumulate(np.abs(batch[:, ::-1]), axis=1)[:, ::-1]
        extreme += np.count_nonzero(largest >= reached, axis=0)
        drawn += len(batch)
    # The observed pattern counts as one of those drawn (Phipson and Smyth 2010), as in scipy.
    p_values = extreme / drawn if enumerated else (extreme + 1) / (drawn + 1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.maximum.accumulate(p_values)
    return [float(p_value) for p_value in adjusted]


def _random_swaps(differences: Values, seed: int, resamples: int) -> Iterator[Sums]:
    """Yield the sums of every column with random signs, in batches of resamples x tests."""
    # Swapping the runs of a query flips a sign, so random bits stand for the swaps. Single
    # precision takes half the time of double.
    doubled = np.ascontiguousarray(2 * differences, dtype=np.float32)
    totals = doubled.sum(axis=0) / 2
    queries = len(differences)
    words = -(-queries // 64)
    rng = np.random.default_rng(seed)
    batch = max(1, BATCH_VALUES // max(differences.shape))
    for start in range(0, resamples, batch):
        rows = min(batch, resamples - start)
        random = rng.integers(0, 2**64, size=(rows, words), dtype=np.uint64)
        bits = np.unpackbits(random.view(np.uint8), axis=1, count=queries)
        yield bits.astype(np.float32) @ doubled - totals


def _every_swap(differences: Values) -> Iterator[Sums]:
    """Yield the sums of every column under all 2^queries patterns of signs."""
    queries = len(differences)
    batch = max(1, BATCH_VALUES // max(1, *differences.shape))
    for start in range(0, 2**queries, batch):
        numbers = np.arange(start, min(start + batch, 2**queries))
        signs = 1 - 2 * (numbers[:, None] >> np.arange(queries) & 1)
        yield (signs @ differences).astype(np.float32)
