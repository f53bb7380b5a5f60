"""Intervals of quantiles are values of the sorted list, known without any distribution."""

from math import inf

import pytest

from pipeline.evaluation.quantiles import interval_metrics, precise, quantile_interval, summary


def test_two_of_the_sorted_values_bound_the_median() -> None:
    # Of 20 values 5 or fewer lie below the median with a probability of 2.1%, 6 or fewer of 5.8%.
    assert quantile_interval(range(20, 0, -1)) == (6, 15)
    assert quantile_interval([1.0] * 5) == (-inf, inf)
    assert quantile_interval([1.0] * 6) == (1, 1)


def test_the_95th_percentile_needs_72_values_for_an_upper_end() -> None:
    # 0.95 ** 71 = 2.6%: all of 71 values lie below it too often. 0.95 ** 72 = 2.49%.
    assert quantile_interval(range(1, 72), 0.95) == (63, inf)
    assert quantile_interval(range(1, 73), 0.95) == (64, 72)
    # The table of Le Boudec's book for 100 values and the median: the 40th and the 61st.
    assert quantile_interval(range(1, 101)) == (40, 61)


def test_a_median_is_precise_if_its_interval_is_within_five_percent() -> None:
    assert precise(range(91, 111))  # 96 to 105 around 100.5
    assert not precise(range(82, 122, 2))  # 92 to 110 around 101
    assert not precise([100.0] * 5)


def test_a_99th_percentile_is_given_from_100_values() -> None:
    few, enough = list(range(1, 100)), list(range(1, 102))
    assert "x/total_p99_ms" not in summary("x", {"total": few})
    assert summary("x", {"total": enough}) == {
        "x/total_mean_ms": 51,
        "x/total_p50_ms": 51,
        "x/total_p95_ms": 96,
        "x/total_p99_ms": 100,
    }


def test_only_ends_that_are_known_are_logged() -> None:
    assert interval_metrics("x", list(range(1, 21))) == {
        "x_p50_low_ms": 6,
        "x_p50_high_ms": 15,
        "x_p95_low_ms": 17,
    }
    assert interval_metrics("x", [1.0]) == pytest.approx({})
