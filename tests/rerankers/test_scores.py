"""Scores of candidates."""

import pytest

from pipeline.records import Hit
from pipeline.rerankers.scores import collapsed, score_candidates
from tests.scorers import OfPassage


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_score_must_be_finite(value: float) -> None:
    candidates = {"vector": {"q": [Hit("b", 2.0), Hit("a", 1.0)]}}
    corpus = {"a": "first", "b": "second"}
    with pytest.raises(RuntimeError, match=f"query q, document a: the score is {value}"):
        score_candidates(OfPassage({"a": value, "b": 1.0}), {"q": "text"}, corpus, candidates)


def test_what_counts_as_ranking_nothing() -> None:
    def of(*values: float) -> dict[str, float]:
        return {f"d{i}": value for i, value in enumerate(values)}

    assert collapsed({"a": of(0.5, 0.5, 0.500005), "b": of(-3, -3)})
    assert collapsed({"a": of(*[0.0] * 9, -1.0)})  # one passage is pushed down, none is lifted
    assert not collapsed({"a": of(*[0.0] * 9, 1.0)})  # as of a classifier that is sure of one
    assert not collapsed({"a": of(0, 0), "b": of(1, 2), "c": of(2, 1)})
    assert not collapsed({"a": of(0.5, 0.4), "b": of(0.1, 0.1)})  # a half is not most of them
    assert not collapsed({"a": of(0)})
