"""A reranker fused with vector search gives the scores that a person can compute."""

from collections.abc import Sequence
from typing import cast

import numpy as np
import pytest

from pipeline.rerankers.fused import FusedScorer
from pipeline.retrieval.embedder import Embedder, Vectors
from tests.scorers import OfPassage

PASSAGES = {"a": "1.0", "b": "0.5", "c": "0.0"}  # the text is the similarity to every query
QUERIES = {"q": "one", "r": "two"}
PAIRS = [("r", "b"), ("q", "a"), ("q", "b"), ("q", "c"), ("r", "c")]


class TextIsVector:
    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        return np.ones((len(texts), 1), np.float32)

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        return np.array([[float(text)] for text in texts], np.float32)


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        (0.0, [1, 1, 0.5, 0, 0]),  # the vector search alone
        (1.0, [1, 0, 1, 0.25, 0]),  # the reranker alone: 0, 8 and 2 for q, 8 and 2 for r
        (0.25, [1, 0.75, 0.625, 0.0625, 0]),
    ],
)
def test_both_are_scaled_over_the_passages_of_a_query(weight: float, expected: list[float]) -> None:
    scorer = OfPassage({"a": 0.0, "b": 8.0, "c": 2.0})
    fused = FusedScorer(scorer, cast(Embedder, TextIsVector()), weight)
    assert fused.score_pairs(QUERIES, PASSAGES, PAIRS).tolist() == pytest.approx(expected)
