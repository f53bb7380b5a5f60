"""The weight of a reranker in fusion, on values of dev queries that can be checked by hand."""

import numpy as np
import pytest

from pipeline.evaluation.fusion_choice import smoothed_choice


def test_the_choice_of_a_weight_is_smoothed() -> None:
    always = np.zeros((11, 50))
    always[3] = 1.0
    assert smoothed_choice(always) == 0.3
    assert smoothed_choice(np.ones((11, 50))) == 0.0
    # Two weights that win on one half of the queries each: in a resample either may be ahead.
    split = np.zeros((11, 50))
    split[2, :25] = split[6, 25:] = 1.0
    assert smoothed_choice(split) == pytest.approx(0.4, abs=0.04)


def test_weights_that_differ_by_rounding_tie() -> None:
    """Of equally good weights the smallest is taken."""
    values = np.zeros((11, 50))
    values[3], values[7] = 0.5, 0.5 + 1e-9
    assert smoothed_choice(values) == 0.3
