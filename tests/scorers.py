"""Scorers that several test files share."""

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.protocols import Scores


class Constant:
    """Scores every pair the same."""

    def score_pairs(
        self,
        queries: Mapping[str, str],
        passages: Mapping[str, str],
        pairs: Sequence[tuple[str, str]],
        progress: bool = False,
    ) -> Scores:
        return np.full(len(pairs), 0.5, np.float32)


class OfPassage:
    """Scores a passage by its id, whatever the query; keeps the pairs that it was given."""

    def __init__(self, scores: Mapping[str, float]) -> None:
        self._scores = scores
        self.calls: list[list[tuple[str, str]]] = []

    def score_pairs(
        self,
        queries: Mapping[str, str],
        passages: Mapping[str, str],
        pairs: Sequence[tuple[str, str]],
        progress: bool = False,
    ) -> Scores:
        self.calls.append(list(pairs))
        return np.array([self._scores[passage] for _, passage in pairs], np.float32)
