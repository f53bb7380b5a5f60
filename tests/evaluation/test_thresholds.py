"""Thresholds whose precision and recall a person can count."""

import numpy as np
import pytest

from pipeline.evaluation.calibration import LabelledScores
from pipeline.evaluation.thresholds import choose, measure

# Probability -> relevant candidates of how many.
COUNTS = {0.95: (9, 10), 0.7: (6, 10), 0.4: (3, 20), 0.1: (2, 60)}
PROBABILITIES = np.repeat(list(COUNTS), [whole for _, whole in COUNTS.values()])
RELEVANT = np.concatenate(
    [np.arange(whole) < relevant for relevant, whole in COUNTS.values()]
).astype(np.bool_)


def test_the_best_f1_and_the_lowest_that_reach_a_precision() -> None:
    # From 0.95 down: precision 9/10, 15/20, 18/40, 20/100 and F1 18/30, 30/40, 36/60, 40/120. The
    # lowest threshold that 0.7 reaches and 0.4 does not is 0.401.
    assert choose(PROBABILITIES, RELEVANT) == {
        "best_f1": 0.401,
        "precision_50": 0.401,
        "precision_90": 0.701,
    }


def test_a_goal_that_nothing_reaches_is_missing() -> None:
    assert choose(PROBABILITIES[10:], RELEVANT[10:]).keys() == {"best_f1", "precision_50"}
    # Nine relevant candidates are too few for a precision.
    assert choose(PROBABILITIES[:9], RELEVANT[:9]) == {"best_f1": 0.001}
    assert choose(np.array([0.0001, 0.0001]), np.array([True, False])) == {}


def test_figures_of_a_threshold_on_test_queries() -> None:
    probabilities = np.array([0.9, 0.5, 0.2, 0.6, 0.1, 0.3])
    relevant = np.array([1, 0, 1, 0, 0, 1], np.bool_)
    # Of four queries two have a candidate from 0.5 on, and one has no candidates.
    test = LabelledScores(np.array([0, 0, 0, 1, 1, 2]), probabilities, relevant, 4)
    found = measure(test, probabilities, {"best_f1": 0.5, "precision_90": 0.95})
    assert found == pytest.approx(
        {
            "best_f1_probability": 0.5,
            "best_f1_precision": 1 / 3,
            "best_f1_recall": 1 / 3,
            "best_f1_answered": 0.5,
            "precision_90_probability": 0.95,
            "precision_90_precision": float("nan"),
            "precision_90_recall": 0.0,
            "precision_90_answered": 0.0,
        },
        nan_ok=True,
    )
