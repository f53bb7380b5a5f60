"""Significance against exact enumeration, hand calculation and scipy's own defaults."""

import itertools
import random
import warnings
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from pipeline.evaluation import bootstrap, significance
from pipeline.evaluation.bootstrap import Values
from pipeline.evaluation.significance import max_t, paired_difference


def named(values: Sequence[float]) -> dict[str, float]:
    return {f"q{i}": value for i, value in enumerate(values)}


def p_value_of(differences: Sequence[float]) -> float:
    return max_t(np.array(differences, dtype=float)[:, None], resamples=10_000)[0]


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted p-values: the i-th smallest of m times m - i + 1, made monotone."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, largest = [0.0] * len(p_values), 0.0
    for position, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - position) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def exact_p_value(differences: list[float]) -> float:
    """Share of all sign patterns whose sum is at least as far from 0."""
    observed = abs(sum(differences))
    sums = [
        abs(sum(sign * d for sign, d in zip(signs, differences, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(differences))
    ]
    return sum(value >= observed - 1e-12 for value in sums) / len(sums)


def enumerated_max_t(differences: Values) -> list[float]:
    """Westfall and Young's (1993) step-down max-T over all sign patterns, by its definition."""
    scaled = differences / np.sqrt((differences**2).sum(axis=0))
    signs = np.array([*itertools.product((1, -1), repeat=len(differences))])
    patterns, observed = abs(signs @ scaled), abs(scaled.sum(axis=0))
    p_values, largest = dict[int, float](), 0.0
    for column in np.argsort(-observed):
        rest = patterns[:, observed <= observed[column]]
        reached = rest.max(axis=1) >= observed[column] - 1e-9
        largest = p_values[column] = max(largest, float(reached.mean()))
    return [p_values[column] for column in range(len(observed))]


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
    for module in (bootstrap, significance):
        monkeypatch.setattr(module, "BATCH_VALUES", 7_000)
    assert paired_difference(a, b, seed=5) == whole


def test_refuses_different_or_no_queries() -> None:
    with pytest.raises(ValueError, match=r"same queries, 1 differ, e\.g\. 'q1'"):
        paired_difference({"q0": 1.0}, {"q0": 1.0, "q1": 0.0})
    with pytest.raises(ValueError, match="no queries"):
        paired_difference({}, {})


def test_two_tests_by_hand() -> None:
    # Three queries, 8 patterns of signs. The first column is |+-1+-1+-1| / root 3, the second has
    # one difference, so |+-1| / 1 in every pattern. The observed 1.73 is reached twice of 8 by the
    # first column, never by the second, which reaches its own 1 always.
    differences = np.array([[1.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    assert max_t(differences) == [2 / 8, 1.0]
    assert max_t(differences[:, ::-1]) == [1.0, 2 / 8]
    assert max_t(differences[:, :0]) == []


def test_copies_of_one_test_need_no_correction() -> None:
    column = np.random.default_rng(6).normal(0.2, 1, (100, 1))
    (alone,) = max_t(column)
    assert max_t(np.hstack([column, 3 * column, -column])) == [alone] * 3
    assert max_t(np.hstack([column, 0 * column])) == [alone, 1.0]


def test_independent_tests_are_corrected_as_by_holm() -> None:
    differences = np.random.default_rng(9).normal(0.15, 1, (200, 8))
    raw = [max_t(column[:, None])[0] for column in differences.T]
    assert max_t(differences) == pytest.approx(holm(raw), abs=0.05)
    assert all(one <= many for one, many in zip(raw, max_t(differences), strict=True))


def test_few_queries_are_enumerated_whatever_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = np.random.default_rng(1).normal(0.5, 1, (11, 3))
    expected = max_t(differences)
    assert expected == enumerated_max_t(differences)
    monkeypatch.setattr(significance, "BATCH_VALUES", 700)
    assert max_t(differences) == expected


def correlated(rng: np.random.Generator, shift: float) -> Values:
    """100 queries x 30 tests that share most of their noise, as runs over one search do."""
    return np.asarray(rng.normal(0, 1, (100, 1)) + rng.normal(shift, 0.5, (100, 30)))


@pytest.mark.slow
def test_under_the_null_one_table_in_20_has_a_significant_test() -> None:
    rng = np.random.default_rng(11)
    tables = [correlated(rng, 0.0) for _ in range(300)]
    false = sum(min(max_t(table, seed, 500)) < 0.05 for seed, table in enumerate(tables))
    assert 0.015 <= false / len(tables) <= 0.085  # 0.05 within three standard errors


@pytest.mark.slow
def test_on_correlated_tests_it_finds_more_than_holm() -> None:
    rng = np.random.default_rng(12)
    found, by_holm = 0, 0
    for seed in range(12):
        table = correlated(rng, 0.3)
        found += sum(p < 0.05 for p in max_t(table, seed, 2000))
        raw = [max_t(column[:, None], seed, 2000)[0] for column in table.T]
        by_holm += sum(p < 0.05 for p in holm(raw))
    assert found > 1.2 * by_holm > 0
