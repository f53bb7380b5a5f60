"""Scores of candidates."""

from pipeline.rerankers.scores import collapsed


def test_collapsed_scores() -> None:
    assert collapsed({"q1": {"a": 0.5, "b": 0.5}, "q2": {"a": 0.1, "b": 0.10000001}})
    assert not collapsed({"q1": {"a": 0.5, "b": 0.4}, "q2": {"a": 0.1, "b": 0.1}})
    assert not collapsed({"q1": {"a": 0.5}})
