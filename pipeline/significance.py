"""Is a difference between two rankings of the same queries more than chance?

Paired over queries: bootstrap intervals (Efron 1979) and randomisation tests (Fisher; Smucker,
Allan and Carterette 2007 for retrieval), corrected for many tests by Holm (1979). Intervals and
exact tests are scipy's; sampled tests agree with scipy.stats.permutation_test.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Values = NDArray[np.float64]

# Values drawn at a time: 8 MB an array, whatever the number of queries and resamples.
BATCH_VALUES = 1_000_000


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
    p_value = _randomisation_p_value(differences, seed, resamples)
    return PairedDifference(float(differences.mean()), low, high, p_value)


def randomisation_test(
    treatment: Mapping[str, float],
    baseline: Mapping[str, float],
    seed: int = 0,
    resamples: int = 10_000,
) -> float:
    """The p-value of paired_difference alone, for tables that show no interval."""
    return _randomisation_p_value(_differences(treatment, baseline), seed, resamples)


def interval(
    values: Mapping[str, float], seed: int = 0, resamples: int = 10_000
) -> tuple[float, float]:
    """95% bootstrap interval (percentile) of the mean over the queries.

    Raises:
        ValueError: there are no values.
    """
    return _bootstrap_interval(_array(values), seed, resamples)


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


def _randomisation_p_value(differences: Values, seed: int, resamples: int) -> float:
    """Share of the random swaps whose summed difference is at least as far from 0.

    The sum orders the swaps as the mean does and is exact for hit rates, so that ties are ties.
    """
    # Swapping the two values of a query on which the runs agree changes nothing, so such
    # queries are left out: fewer values to draw, and more often few enough to enumerate.
    nonzero = differences[differences != 0]
    if len(nonzero) < 2:  # both signs of one difference are as extreme
        return 1.0
    if len(nonzero) <= np.log2(resamples):
        return _enumerated_p_value(nonzero, resamples)
    # scipy's test draws its permutations value by value, 40 ns each: minutes for the table of a
    # sweep. Swapping the runs of a query flips a sign, so a product with random bits does it.
    rng = np.random.default_rng(seed)
    total = nonzero.sum()
    observed = abs(total) - 1e-12 * np.abs(nonzero).sum()  # less what rounding may hide
    words = -(-len(nonzero) // 64)
    extreme = 0
    for start in range(0, resamples, _batch(nonzero)):
        rows = min(_batch(nonzero), resamples - start)
        drawn = rng.integers(0, 2**64, size=(rows, words), dtype=np.uint64)
        bits = np.unpackbits(drawn.view(np.uint8), axis=1, count=len(nonzero))
        sums = 2 * (bits.astype(np.float64) @ nonzero) - total
        extreme += int(np.count_nonzero(np.abs(sums) >= observed))
    # The observed pattern counts as one of those drawn (Phipson and Smyth 2010), as in scipy.
    return (extreme + 1) / (resamples + 1)


def _enumerated_p_value(nonzero: Values, resamples: int) -> float:
    """Exact: every one of the 2^n swaps."""
    result = stats.permutation_test(
        (nonzero,),
        lambda values, axis: np.sum(values, axis=axis),
        permutation_type="samples",  # of one sample: flips signs, which swaps the two runs
        n_resamples=resamples,
        vectorized=True,
        alternative="two-sided",
    )
    return float(result.pvalue)


def _batch(values: Values) -> int:
    return max(1, BATCH_VALUES // len(values))
