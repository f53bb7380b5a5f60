"""Quantiles of timings, with intervals that assume no distribution."""

from collections.abc import Mapping, Sequence
from math import inf, isfinite, isnan

import numpy as np
from scipy.stats import quantile_test

LEVEL = 0.95  # of the intervals
PRECISE = 0.05  # of the median: how far the ends of its interval may be from it
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
P99_FROM = 100  # values: of fewer, a 99th percentile is little else than the largest one


def quantile_interval(values: Sequence[float], share: float = 0.5) -> tuple[float, float]:
    """Bound the quantile at ``share`` (0..1) of what ``values`` are drawn from.

    How many values are below the quantile is binomial, so two of the sorted values bound it with a
    probability of at least 95%, whatever the distribution (W. J. Conover, Practical Nonparametric
    Statistics, 1999, section 3.2). An end is infinite where there are too few values for it: a
    median needs 6, a 95th percentile 72 for its upper end.
    """
    low, high = quantile_test(values, p=share).confidence_interval(LEVEL)
    return -inf if isnan(low) else float(low), inf if isnan(high) else float(high)


def precise(values: Sequence[float]) -> bool:
    """Whether both ends of the median's interval are within 5% of the median."""
    middle = float(np.median(values))
    return all(abs(end - middle) <= PRECISE * middle for end in quantile_interval(values))


def summary(prefix: str, parts: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Summarise the milliseconds of every part as ``PREFIX/total_p50_ms``; p99 of enough values."""
    metrics = {}
    for part, milliseconds in parts.items():
        metrics[f"{prefix}/{part}_mean_ms"] = float(np.mean(milliseconds))
        for name in quantiles_of(milliseconds):
            value = np.quantile(milliseconds, QUANTILES[name])
            metrics[f"{prefix}/{part}_{name}_ms"] = float(value)
    return metrics


def interval_metrics(prefix: str, milliseconds: Sequence[float]) -> dict[str, float]:
    """Return the ends of the intervals, as ``PREFIX_p95_low_ms``, as far as they are known."""
    metrics: dict[str, float] = {}
    for name in quantiles_of(milliseconds):
        ends = quantile_interval(milliseconds, QUANTILES[name])
        metrics |= {
            f"{prefix}_{name}_{end}_ms": value
            for end, value in zip(("low", "high"), ends, strict=True)
            if isfinite(value)
        }
    return metrics


def quantiles_of(values: Sequence[float]) -> list[str]:
    """List the quantiles to report: p99 only from ``P99_FROM`` values on."""
    return [name for name in QUANTILES if name != "p99" or len(values) >= P99_FROM]
