"""Bootstrap intervals against scipy's, by hand, and against what they promise."""

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from pipeline.evaluation import bootstrap
from pipeline.evaluation.bootstrap import (
    Values,
    interval,
    intervals,
    percentiles,
    resampled_gains,
    resampled_means,
    simultaneous,
    to_chosen,
)


def named_in_order(values: Sequence[float] | Values) -> dict[str, float]:
    """Ids that sort as the values do."""
    return {f"q{i:03}": float(value) for i, value in enumerate(values)}


def test_interval_of_a_hit_rate() -> None:
    # the published study: 2,000 queries at 60% are known to about 2.1 points
    low, high = interval({f"q{i}": float(i < 1200) for i in range(2000)})
    assert (high - low) / 2 == pytest.approx(1.96 * (0.6 * 0.4 / 2000) ** 0.5, rel=0.05)
    assert low < 0.6 < high
    assert interval({"q0": 0.5}) == (0.5, 0.5)


def test_refuses_no_queries() -> None:
    with pytest.raises(ValueError, match="no queries"):
        interval({})
    with pytest.raises(ValueError, match="no queries"):
        intervals(np.empty((0, 2)))


def test_intervals_are_those_of_scipy() -> None:
    values = np.random.default_rng(5).random(90)
    theirs = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=10_000, rng=0
    ).confidence_interval
    assert interval(named_in_order(values)) == pytest.approx((theirs.low, theirs.high), rel=1e-12)


def gains(values: Values, base: Values) -> list[tuple[float, float]]:
    return percentiles(resampled_gains(values, base))


def test_intervals_of_a_relative_gain() -> None:
    rng = np.random.default_rng(3)
    base = rng.random((80, 2)) < 0.3
    values = np.where(base, rng.random((80, 2)) < 0.1, rng.random((80, 2)) < 0.05).astype(float)
    low, high = zip(*gains(values, base.astype(float)), strict=True)
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
    assert np.allclose(gains(values, ones), intervals(values - ones))
    # one hit in 3 queries: many draws have none to divide by
    ((low_end, high_end),) = gains(np.array([[1.0], [1.0], [0.0]]), np.array([[1.0], [0.0], [0.0]]))
    assert low_end == 0.0 and np.isnan(high_end)
    assert gains(ones, ones) == [(0.0, 0.0), (0.0, 0.0)]


def test_many_at_once_are_what_each_alone_is(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = np.random.default_rng(8).normal(0.05, 1, (120, 5))
    columns[:, 3] = 0.25  # constant
    for batch in (1_000_000, 7_000):
        monkeypatch.setattr(bootstrap, "BATCH_VALUES", batch)
        ends = intervals(columns)
        for i, column in enumerate(columns.T):
            assert ends[i] == pytest.approx(interval(named_in_order(column)))


def test_simultaneous_intervals_by_hand() -> None:
    # One column is an interval of its own: the 95th percentile of |draw - estimate|. A constant
    # column needs no room, and one that can't be computed has none.
    drawn = np.column_stack([np.linspace(-1, 1, 201), np.full(201, 0.5), np.full(201, np.inf)])
    ends = simultaneous([0.0, 0.5, 0.5], drawn)
    assert ends[0] == pytest.approx((-0.95, 0.95))
    assert ends[1] == (0.5, 0.5)
    assert np.isnan(ends[2]).all()
    # Two copies are one test; two that go apart need more room.
    one = np.random.default_rng(0).normal(size=(5000, 1))
    other = np.random.default_rng(1).normal(size=(5000, 1))
    (alone,) = simultaneous([0.0], one)
    copies = simultaneous([0.0, 0.0], np.hstack([one, one]))
    apart = simultaneous([0.0, 0.0], np.hstack([one, other]))
    assert copies == [alone, alone]
    assert apart[0][1] / one.std() == pytest.approx(2.24, abs=0.05)  # Sidak's 97.47th percentile


def test_intervals_to_a_chosen_column_hold_for_all_pairs() -> None:
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=(20_000, 3))
    ends = to_chosen(1, np.array([0.0, 1.0, 0.5]), drawn + [0.0, 1.0, 0.5])
    assert ends[1] == (0.0, 0.0)
    # Tukey's studentised range of three columns: 3.31 at 95%, so 3.31 times one's deviation.
    for place, difference in ((0, -1.0), (2, -0.5)):
        assert sum(ends[place]) / 2 == pytest.approx(difference)
        assert (ends[place][1] - ends[place][0]) / 2 == pytest.approx(3.31, abs=0.06)
    # One other column is an interval of its own; a copy of the chosen one needs no room.
    alone = to_chosen(0, np.zeros(2), drawn[:, :2])
    (only,) = simultaneous([0.0], drawn[:, [1]] - drawn[:, [0]])
    assert alone[1] == pytest.approx(only)
    assert to_chosen(0, np.zeros(2), drawn[:, [0, 0]]) == [(0.0, 0.0), (0.0, 0.0)]


@pytest.mark.slow
def test_the_interval_of_the_best_covers_the_choice_of_the_best() -> None:
    """Of 20 equally good systems the best one looks better than it is."""
    rng = np.random.default_rng(2)
    held = {"alone": 0, "at once": 0, "distances to one": 0, "distances to the best": 0}
    for _ in range(trials := 150):
        base = rng.normal(0.5, 0.2, (100, 1))
        values = base + rng.normal(0, 0.1, (100, 20))  # every true gain is 0
        means = values.mean(axis=0)
        best = int(means.argmax())
        gains = resampled_gains(values, np.repeat(base, 20, axis=1), resamples=300)
        estimates = means / base.mean() - 1
        for name, ends in {
            "alone": percentiles(gains),
            "at once": simultaneous(np.log1p(estimates), np.log1p(gains)),
        }.items():
            held[name] += ends[best][0] <= 0 <= ends[best][1]
        drawn = resampled_means(values, resamples=1000)
        to_best = drawn - drawn[:, [best]]
        for name, ends in {
            "distances to one": simultaneous(means - means[best], to_best),
            "distances to the best": to_chosen(best, means, drawn),
        }.items():
            held[name] += all(low <= 0 <= high for low, high in ends)
    shares = {name: count / trials for name, count in held.items()}
    assert shares["at once"] >= 0.93 and shares["distances to the best"] >= 0.93
    assert shares["alone"] < 0.75 and shares["distances to one"] < 0.85
