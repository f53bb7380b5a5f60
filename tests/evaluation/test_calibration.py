"""Platt scaling on sets that can be checked by hand, and against scikit-learn."""

import numpy as np
import pytest

from pipeline.evaluation.calibration import (
    Calibration,
    LabelledScores,
    Uncalibrated,
    brier_score,
    expected_error,
    fit,
    judged,
)


def of(scores: list[float], relevant: list[int]) -> LabelledScores:
    """The candidates of one query."""
    places = np.zeros(len(scores), np.int64)
    return LabelledScores(places, np.array(scores), np.array(relevant, np.bool_), 1)


def test_a_symmetric_set_has_intercept_0() -> None:
    # Three of the four candidates with score 1 are relevant, and one of those with -1. As four are
    # relevant and four are not, the labels are smoothed to 5/6 and 1/6: 2/3 on average at score 1.
    found = fit(of([1, 1, 1, 1, -1, -1, -1, -1], [1, 1, 1, 0, 1, 0, 0, 0]))
    assert found.slope == pytest.approx(np.log(2), abs=1e-5)
    assert found.intercept == pytest.approx(0, abs=1e-5)
    assert found.probabilities([-1.0, 0.0, 1.0]) == pytest.approx([1 / 3, 1 / 2, 2 / 3])


def test_scores_that_part_all_candidates_give_a_finite_curve() -> None:
    found = fit(of([30.0, 31.0, 20.0, 21.0, 22.0], [1, 1, 0, 0, 0]))
    assert np.isfinite(found.slope)
    assert found.probabilities([20.0, 31.0]) == pytest.approx([1 / 5, 3 / 4], abs=0.06)


@pytest.mark.parametrize(("size", "offset"), [(1.0, 0.0), (0.05, 25.0)])
def test_the_curve_is_that_of_scikit_learn(size: float, offset: float) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    relevant = rng.random(3000) < 0.05
    scores = offset + size * (rng.normal(size=3000) + 2 * relevant)
    found = fit(LabelledScores(np.zeros(3000, np.int64), scores, relevant, 1))
    # Its labels are 0 or 1, so a smoothed one is a row of each, with the share as weight.
    count = int(relevant.sum())
    labels = np.where(relevant, (count + 1) / (count + 2), 1 / (3000 - count + 2))
    rows = np.concatenate([scores, scores])[:, None] / size
    model = linear_model.LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000)
    model.fit(rows, [1] * 3000 + [0] * 3000, sample_weight=np.concatenate([labels, 1 - labels]))
    assert found.slope * size == pytest.approx(model.coef_[0][0], rel=1e-3)
    ours = found.probabilities(scores)
    assert ours == pytest.approx(model.predict_proba(rows[:3000])[:, 1], abs=1e-4)
    assert (np.diff(ours[np.argsort(scores)]) >= 0).all()
    # What logistic regression without regularisation guarantees of its own labels.
    assert ours.mean() == pytest.approx(labels.mean(), abs=1e-6)


@pytest.mark.parametrize(
    ("scores", "relevant", "said"),
    [
        ([], [], "is relevant"),
        ([1.0, 2.0], [0, 0], "is relevant"),
        ([1.0, 2.0], [1, 1], "are relevant"),
        ([1.0, 1.0], [1, 0], "same score"),
        ([1.0, 2.0], [1, 0], "no higher scores"),
    ],
)
def test_no_curve_without_both_kinds_or_against_the_order(
    scores: list[float], relevant: list[int], said: str
) -> None:
    with pytest.raises(Uncalibrated, match=said):
        fit(of(scores, relevant))


def test_candidates_are_labelled_by_the_judgments_of_their_own_queries() -> None:
    scores = {"a": {"x": 2.0, "y": 1.0}, "b": {"x": 3.0}, "test": {"x": 9.0}}
    found = judged(scores, {"a": {"y": 2, "lost": 1}, "b": {"y": 1}, "empty": {"x": 1}})
    assert found.scores.tolist() == [2.0, 1.0, 3.0]
    assert found.relevant.tolist() == [False, True, False]
    assert found.queries.tolist() == [0, 0, 1]
    assert found.of_queries == 3


def test_errors_of_probabilities() -> None:
    probabilities = np.array([0.2] * 10 + [0.6] * 10)
    relevant = np.array([1, 1, 1, 0, 0, 0, 0, 0, 0, 0] + [1] * 6 + [0] * 4, np.bool_)
    assert brier_score(probabilities, relevant) == pytest.approx(
        (3 * 0.64 + 7 * 0.04 + 6 * 0.16 + 4 * 0.36) / 20
    )
    # Ten groups of two, in their order: |0.4 - 2|, |0.4 - 1|, 3 x 0.4; 3 x |1.2 - 2|, 2 x 1.2.
    assert expected_error(probabilities, relevant) == pytest.approx(
        (1.6 + 0.6 + 1.2 + 2.4 + 2.4) / 20
    )
    assert expected_error(np.full(20, 0.5), np.array([0, 1] * 10, np.bool_)) == 0


def test_probabilities_of_far_scores_do_not_overflow() -> None:
    with np.errstate(all="raise", under="ignore"):
        assert Calibration(10, 0).probabilities([-1e6, 1e6]).tolist() == [0.0, 1.0]
