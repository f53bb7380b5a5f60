"""Scorers that several test files share."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.protocols import Scorer, Scores


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


@dataclass
class Watched:
    """Scores with a real model; waits at ``gate``, and fails at passages that say so."""

    model: Scorer
    gate: threading.Event = field(default_factory=threading.Event)
    calls: list[int] = field(default_factory=list)
    """Pairs of each call, from its beginning."""

    def score_pairs(
        self,
        queries: Mapping[str, str],
        passages: Mapping[str, str],
        pairs: Sequence[tuple[str, str]],
        progress: bool = False,
    ) -> Scores:
        self.calls.append(len(pairs))
        assert self.gate.wait(30)
        texts = [passages[doc_id] for _, doc_id in pairs]
        if "raise" in texts:
            raise RuntimeError("out of memory")
        scores = self.model.score_pairs(queries, passages, pairs)
        return np.where([text == "not finite" for text in texts], np.float32("nan"), scores)
