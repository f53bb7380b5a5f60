"""Significance against exact enumeration, hand calculation and scipy's own defaults."""

import itertools
import random
import warnings
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from pipeline.evaluation import significance
from pipeline.evaluation.significance import (
    Values,
    enough_resamples,
    holm,
    interval,
    intervals,
    paired_difference,
    randomisation_tests,
)


def named(values: Sequence[float]) -> dict[str, float]:
    return {f"q{i}": value for i, value in enumerate(values)}


def named_in_order(values: Values) -> dict[str, float]:
    """Ids that sort as the values do."""
    return {f"q{i:03}": value for i, value in enumerate(values.tolist())}


def p_value_of(differences: Sequence[float]) -> float:
    return randomisation_tests(np.array(differences, dtype=float)[:, None])[0]


def exact_p_value(differences: list[float]) -> float:
    """Share of all sign patterns whose sum is at least as far from 0."""
    observed = abs(sum(differences))
    sums = [
        abs(sum(sign * d for sign, d in zip(signs, differences, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(differences))
    ]
    return sum(value >= observed - 1e-12 for value in sums) / len(sums)


@pytest.mark.parametrize(
    "differences",
    [
        [1.0, 1.0, 1.0],
        [1.0, 1.0, 1.0, -1.0, 0.0, 0.0],
        [0.5],
        [0.3, -0.1, 0.2, 0.4, 0.25, -0.05],
        [1.0, -1.0],
        [0.1] * 12,
        [random.Random(3).gauss(0.2, 1) for _ in range(11)],
    ],
)
def test_p_value_equals_exact_enumeration(differences: list[float]) -> None:
    baseline = named([0.0] * len(differences))
    p_value = paired_difference(named(differences), baseline).p_value
    assert p_value == pytest.approx(exact_p_value(differences))
    assert p_value_of(differences) == p_value


def test_p_value_by_hand() -> None:
    # three wins, no loss: 2 of the 8 sign patterns are as extreme
    assert paired_difference(named([1, 1, 1]), named([0, 0, 0])).p_value == 2 / 8


def test_queries_on_which_both_agree_do_not_change_the_p_value() -> None:
    few = paired_difference(named([1, 1, 1, 0]), named([0, 0, 0, 0]))
    many = paired_difference(named([1, 1, 1] + [0] * 500), named([0] * 503))
    assert few.p_value == many.p_value


def test_random_resamples_approach_enumeration() -> None:
    rng = random.Random(0)
    differences = [rng.gauss(0.3, 1) for _ in range(16)]  # 65,536 patterns, 10,000 drawn
    p_value = p_value_of(differences)
    assert p_value == pytest.approx(exact_p_value(differences), abs=0.015)


@pytest.mark.parametrize("shift", [0.0, 0.05, 0.15])
def test_random_resamples_agree_with_scipy(shift: float) -> None:
    differences = np.random.default_rng(4).normal(shift, 1, 300)
    theirs = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=10_000, rng=0, batch=1000
    )
    ours = p_value_of(differences.tolist())
    assert ours == pytest.approx(theirs.pvalue, abs=0.02)


def test_hit_rates_agree_with_the_sign_test() -> None:
    # 60 queries won, 40 lost, 900 tied: flipping signs is tossing 100 coins
    ours = p_value_of([1.0] * 60 + [-1.0] * 40 + [0.0] * 900)
    assert ours == pytest.approx(stats.binomtest(60, 100).pvalue, abs=0.01)


def test_a_clear_difference() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(0.5, 0.1, 300)
    treatment = named((values + rng.normal(0.05, 0.1, 300)).tolist())
    result = paired_difference(treatment, named(values.tolist()))
    assert result.low < 0.05 < result.high
    assert result.low < result.mean < result.high
    half_width = 1.96 * 0.1 / 300**0.5
    assert (result.high - result.low) / 2 == pytest.approx(half_width, rel=0.1)
    assert result.p_value < 0.001


def test_swapping_the_runs_mirrors_the_result() -> None:
    a, b = named([0.1, 0.9, 0.4, 0.8, 0.3]), named([0.2, 0.5, 0.4, 0.1, 0.9])
    forth, back = paired_difference(a, b), paired_difference(b, a)
    assert forth.mean == -back.mean
    assert forth.p_value == back.p_value
    assert forth.low == pytest.approx(-back.high, abs=0.02)


def test_identical_inputs_give_nothing_and_no_warning() -> None:
    values = named([0.0, 0.3, 1.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = paired_difference(values, dict(reversed(values.items())))
        constant = paired_difference(named([1.0, 1.0]), named([0.5, 0.5]))
    assert (result.mean, result.low, result.high, result.p_value) == (0, 0, 0, 1)
    assert (constant.low, constant.high) == (0.5, 0.5)


def test_a_seed_gives_one_result_whatever_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    a, b = named(rng.random(200).tolist()), named(rng.random(200).tolist())
    whole = paired_difference(a, b, seed=5)
    assert paired_difference(dict(reversed(a.items())), b, seed=5) == whole
    assert paired_difference(a, b, seed=6) != whole
    monkeypatch.setattr(significance, "BATCH_VALUES", 7_000)
    assert paired_difference(a, b, seed=5) == whole


def test_refuses_different_or_no_queries() -> None:
    with pytest.raises(ValueError, match=r"same queries, 1 differ, e\.g\. 'q1'"):
        paired_difference({"q0": 1.0}, {"q0": 1.0, "q1": 0.0})
    with pytest.raises(ValueError, match="no queries"):
        paired_difference({}, {})
    with pytest.raises(ValueError, match="no queries"):
        interval({})


def test_interval_of_a_hit_rate() -> None:
    # the published study: 2,000 queries at 60% are known to about 2.1 points
    low, high = interval(named([1.0] * 1200 + [0.0] * 800))
    assert (high - low) / 2 == pytest.approx(1.96 * (0.6 * 0.4 / 2000) ** 0.5, rel=0.05)
    assert low < 0.6 < high
    assert interval(named([0.5])) == (0.5, 0.5)


def test_holm_by_hand() -> None:
    # 0.005 x 4, 0.01 x 3, 0.03 x 2, then 0.04 x 1 raised to its predecessor
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([0.02, 0.02]) == [0.04, 0.04]
    assert holm([]) == []


def test_intervals_are_those_of_scipy() -> None:
    values = np.random.default_rng(5).random(90)
    theirs = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=10_000, rng=0
    ).confidence_interval
    assert interval(named_in_order(values)) == pytest.approx((theirs.low, theirs.high), rel=1e-12)


def test_intervals_of_a_relative_gain() -> None:
    rng = np.random.default_rng(3)
    base = rng.random((80, 2)) < 0.3
    values = np.where(base, rng.random((80, 2)) < 0.1, rng.random((80, 2)) < 0.05).astype(float)
    low, high = zip(*intervals(values, base.astype(float)), strict=True)
    for i in range(2):
        pair = values[:, i], base[:, i].astype(float)
        theirs = stats.bootstrap(
            pair,
            lambda a, b, axis: a.mean(axis=axis) / b.mean(axis=axis) - 1,
            paired=True,
            method="percentile",
            n_resamples=10_000,
            rng=0,
        ).confidence_interval
        assert (low[i], high[i]) == pytest.approx((theirs.low, theirs.high), abs=0.02)
        assert low[i] >= -1  # nothing falls by more than all of it
    # over a base of ones a share is a difference
    ones = np.ones_like(values)
    assert np.allclose(intervals(values, ones), intervals(values - ones))
    # one hit in 3 queries: many draws have none to divide by
    ((low_end, high_end),) = intervals(
        np.array([[1.0], [1.0], [0.0]]), np.array([[1.0], [0.0], [0.0]])
    )
    assert low_end == 0.0 and np.isnan(high_end)
    assert intervals(ones, ones) == [(0.0, 0.0), (0.0, 0.0)]


def test_enough_resamples_for_a_whole_table() -> None:
    assert [enough_resamples(tests) for tests in (0, 102, 2000)] == [50_000, 50_000, 80_000]
    for tests in (1250, 2000):
        assert holm([1 / (enough_resamples(tests) + 1)] * tests)[0] < 0.05 / 2


def test_many_at_once_are_what_each_alone_is(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    columns = rng.normal(0.05, 1, (120, 5)) * (rng.random((120, 5)) < 0.5)
    columns[:, 3] = 0.25  # constant
    columns[6:, 4] = 0  # few enough to enumerate
    for batch in (1_000_000, 7_000):
        monkeypatch.setattr(significance, "BATCH_VALUES", batch)
        ends = intervals(columns)
        p_values = randomisation_tests(columns)
        for i, column in enumerate(columns.T):
            assert ends[i] == pytest.approx(interval(named_in_order(column)))
            assert p_values[i] == p_value_of(column.tolist())
    assert p_values[4] == pytest.approx(exact_p_value(columns[:6, 4].tolist()))
    with pytest.raises(ValueError, match="no queries"):
        intervals(np.empty((0, 2)))
