"""Timing works on the smallest of inputs."""

from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path

import numpy as np
import pytest

from pipeline.config.index import IndexConfig
from pipeline.config.stages import LatencyConfig
from pipeline.evaluation.latency import measure
from pipeline.infra.hardware import Hardware
from pipeline.protocols import Scores
from pipeline.retrieval.embedder import Embedder, Vectors
from pipeline.retrieval.index import PassageTable, build_table

CORPUS = {f"d{n}": f"passage number {n} about graphs" for n in range(6)}


class Equal(Embedder):
    """Gives every text the same vector, and keeps the queries that it was given."""

    def __init__(self) -> None:
        self.dimension = 2
        self.queries: list[str] = []

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        self.queries += texts
        return self.encode_passages(texts)

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        return np.tile(np.array([1, 0], np.float32), (len(texts), 1))


class Counting:
    """Scores passages and counts them by call."""

    def __init__(self) -> None:
        self.passages: list[int] = []

    def score_pairs(
        self,
        queries: Mapping[str, str],
        passages: Mapping[str, str],
        pairs: Sequence[tuple[str, str]],
        progress: bool = False,
    ) -> Scores:
        self.passages.append(len(pairs))
        return np.arange(len(pairs), dtype=np.float32)


@pytest.mark.parametrize("queries", [1, 2, 5, 6, 8])
def test_queries_that_do_not_suffice_for_a_warmup_are_timed(
    queries: int, tmp_path: Path, machine: Hardware
) -> None:
    embedder, reranker = Equal(), Counting()
    build_table(tmp_path / "table", CORPUS, embedder, IndexConfig(), tmp_path / "kept")
    texts = [f"graphs {n}" for n in range(queries)]
    config = LatencyConfig(limits=[2, 4], queries=100, warmup=5, rerank_modes=["hybrid"])
    table = PassageTable(tmp_path / "table").table
    metrics = measure(texts, table, 100, embedder, reranker, machine, config)
    assert all(isfinite(value) for value in metrics.values())
    for search in ("vector", "fts", "hybrid"):
        for limit in (2, 4):
            assert metrics[f"latency/{search}_{limit}/rerank_p50_ms"] > 0
            assert metrics[f"latency/{search}_{limit}/total_p50_ms"] > 0
    # Hybrid and vector embed; the warm-up is repeated if there are too few queries.
    served = 5 + (queries - 5 if queries > 5 else queries)
    assert len(embedder.queries) == served * 2 * 2
    assert set(embedder.queries) == set(texts)
    assert reranker.passages == [2, 4] * served


def test_full_text_that_finds_nothing_is_timed(tmp_path: Path, machine: Hardware) -> None:
    embedder, reranker = Equal(), Counting()
    build_table(tmp_path / "table", CORPUS, embedder, IndexConfig(), tmp_path / "kept")
    config = LatencyConfig(limits=[2], queries=2, warmup=0, rerank_modes=["fts"])
    table = PassageTable(tmp_path / "table").table
    metrics = measure(["吊扇"], table, 100, embedder, reranker, machine, config)
    assert metrics["latency/fts_2/total_p50_ms"] > 0
    assert reranker.passages == []
