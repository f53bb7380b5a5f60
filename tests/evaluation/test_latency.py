"""Timing works on the smallest of inputs, and ends when the medians are known."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path

import pytest
from lancedb.table import Table

from pipeline.config.index import IndexConfig
from pipeline.config.stages import LatencyConfig
from pipeline.evaluation import latency
from pipeline.evaluation.latency import PARTS, Stack, measure
from pipeline.infra.hardware import Hardware
from pipeline.protocols import Scores
from pipeline.retrieval.embedder import Vectors
from pipeline.retrieval.index import PassageTable, build_table
from tests.embedders import Cosines
from tests.scorers import OfPassage

CORPUS = {f"d{n}": f"passage number {n} about graphs" for n in range(6)}
SCORES = {doc_id: float(n) for n, doc_id in enumerate(CORPUS)}


class Clock:
    """A clock that stands still unless it is moved, in place of the module ``time``."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


class SlowEmbedder(Cosines):
    """Takes 2 ms for a query."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        self._clock.now += 0.002
        return super().encode_queries(texts)


class SlowReranker(OfPassage):
    """Takes 30 ms for the passages of a query."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(SCORES)
        self._clock = clock

    def score_pairs(
        self,
        queries: Mapping[str, str],
        passages: Mapping[str, str],
        pairs: Sequence[tuple[str, str]],
        progress: bool = False,
    ) -> Scores:
        self._clock.now += 0.03
        return super().score_pairs(queries, passages, pairs, progress)


@pytest.fixture
def table(tmp_path: Path) -> Table:
    build_table(tmp_path / "table", CORPUS, Cosines(), IndexConfig(), tmp_path / "kept")
    return PassageTable(tmp_path / "table").table


def test_each_part_has_its_own_time_and_the_total_is_their_sum(
    table: Table, machine: Hardware, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only hybrid search is reranked, and the others take its time over; FTS embeds nothing."""
    clock = Clock()
    monkeypatch.setattr(latency, "time", clock)
    config = LatencyConfig(limits=[4], queries=6, warmup=0, rerank_modes=["hybrid"])
    stack = Stack(table, 100, 60, SlowEmbedder(clock), SlowReranker(clock), machine)
    metrics = measure([f"graphs {n}" for n in range(6)], stack, config)
    for search, expected in {
        "vector": [2, 0, 30, 32],
        "fts": [0, 0, 30, 30],
        "hybrid": [2, 0, 30, 32],
    }.items():
        found = [metrics[f"latency/{search}_4/{part}_mean_ms"] for part in PARTS]
        assert found == pytest.approx(expected)
        known = [f"latency/{search}_4/{part}_p50_low_ms" in metrics for part in PARTS]
        assert known == [False, False, True, True]
    assert metrics["latency/hybrid_4/rerank_p50_low_ms"] == pytest.approx(30)
    assert metrics["latency/hybrid_4/rerank_p50_high_ms"] == pytest.approx(30)
    assert metrics["latency/hybrid_4/rerank_p95_low_ms"] == pytest.approx(30)
    assert "latency/hybrid_4/rerank_p95_high_ms" not in metrics  # of 6 queries
    assert metrics["latency/first_query_ms"] == pytest.approx(32)
    assert metrics["latency/hybrid_4/queries_per_s"] == pytest.approx(1000 / 32)


@pytest.mark.parametrize("queries", [1, 2, 5, 6, 8])
def test_queries_that_do_not_suffice_for_a_warmup_are_timed(
    queries: int, table: Table, machine: Hardware
) -> None:
    embedder, reranker = Cosines(), OfPassage(SCORES)
    texts = [f"graphs {n}" for n in range(queries)]
    config = LatencyConfig(limits=[2, 4], queries=100, warmup=5, rerank_modes=["hybrid"])
    metrics = measure(texts, Stack(table, 100, 60, embedder, reranker, machine), config)
    assert all(isfinite(value) for value in metrics.values())
    for search in ("vector", "fts", "hybrid"):
        for limit in (2, 4):
            assert metrics[f"latency/{search}_{limit}/rerank_p50_ms"] > 0
            assert metrics[f"latency/{search}_{limit}/total_p50_ms"] > 0
    assert metrics["latency/first_query_ms"] > 0
    # Hybrid and vector embed; the warm-up is repeated if there are too few queries.
    served = 5 + (queries - 5 if queries > 5 else queries)
    assert len(embedder.queries) == 2 + served * 2 * 2
    assert set(embedder.queries) == set(texts)
    assert [len(pairs) for pairs in reranker.calls] == [2] + [2, 4] * served


def test_full_text_that_finds_nothing_is_timed(table: Table, machine: Hardware) -> None:
    embedder, reranker = Cosines(), OfPassage(SCORES)
    config = LatencyConfig(limits=[2], queries=2, warmup=0, rerank_modes=["fts"])
    metrics = measure(["吊扇"], Stack(table, 100, 60, embedder, reranker, machine), config)
    assert metrics["latency/fts_2/total_p50_ms"] > 0
    assert reranker.calls == []


def test_a_limit_is_timed_until_its_medians_are_precise(
    table: Table, machine: Hardware, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[int] = []

    def serve(text: str, limit: int, *_: object) -> dict[str, dict[str, float]]:
        served.append(limit)
        seconds = {"vector": 0.1, "fts": 0.1, "hybrid": 0.1}
        if limit == 50:  # its FTS search takes 0.1 s or 0.2 s, in turns
            seconds["fts"] += 0.1 * (served.count(50) % 2)
        elif served.count(20) == 1:  # the very first query
            seconds["vector"] = 3
        elif served.count(20) % 11 == 0:  # one of eleven in its hybrid search takes long
            seconds["hybrid"] += 1
        return {search: dict.fromkeys(latency.PARTS, took) for search, took in seconds.items()}

    monkeypatch.setattr(latency, "_serve", serve)
    config = LatencyConfig(limits=[20, 50], queries=100, warmup=5)
    stack = Stack(table, 100, 60, Cosines(), None, machine)
    metrics = measure([f"{n}" for n in range(105)], stack, config)
    assert (served.count(20), served.count(50)) == (1 + 5 + 20, 5 + 100)
    assert metrics["latency/first_query_ms"] == 3000
    assert metrics["latency/vector_20/total_mean_ms"] == pytest.approx(100)
    assert (metrics["latency/fts_20/queries"], metrics["latency/vector_50/queries"]) == (20, 100)
    assert "latency/fts_50/rerank_p50_low_ms" not in metrics  # nothing reranks
    assert metrics["latency/fts_50/total_p50_low_ms"] == pytest.approx(100)
    assert metrics["latency/fts_50/total_p50_high_ms"] == pytest.approx(200)
    # 100 queries were timed, and 20.
    assert metrics["latency/fts_50/total_p99_ms"] == pytest.approx(200)
    assert "latency/fts_20/total_p99_ms" not in metrics
    few = replace(config, limits=[20], fewest_queries=30)
    metrics = measure([f"{n}" for n in range(105)], stack, few)
    assert metrics["latency/fts_20/queries"] == 30
