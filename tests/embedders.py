"""Embedders that several test files share."""

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.retrieval.embedder import Embedder, Vectors


class Cosines(Embedder):
    """Gives a passage the cosine of its text to every query, 1 if none is known.

    It keeps the queries and the passages that it was given.
    """

    def __init__(self, cosines: Mapping[str, float] | None = None) -> None:
        self.dimension = 2
        self.queries: list[str] = []
        self.passages: list[str] = []
        self._cosines = cosines or {}

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        self.queries += texts
        return np.tile(np.array([1, 0], np.float32), (len(texts), 1))

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        self.passages += texts
        cosines = np.array([self._cosines.get(text, 1.0) for text in texts])
        return np.stack([cosines, np.sqrt(1 - cosines**2)], axis=1).astype(np.float32)
