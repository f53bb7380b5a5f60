"""Latency of the path a user would serve: one query in, LanceDB's reranked rows out.

Timed one query at a time, after a warm-up, with the device synchronised before every clock
read. It depends on architecture, base, lengths, precision and machine, not on the weights, so
it is measured once per such key and shared by the runs that have it.

The rerank step sees ``limit`` passages cut at the same length whichever search found them. So
on a small machine it can be timed in some modes only (``latency.rerank_modes``); the other
modes then get that time, query by query, from the first of them.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from lancedb.rerankers import Reranker as LanceDBReranker

from pipeline.config.stages import LatencyConfig
from pipeline.infra.console import live_line
from pipeline.infra.hardware import Hardware
from pipeline.protocols import Scorer
from pipeline.records import SEARCHES
from pipeline.rerankers.lance import LanceReranker
from pipeline.retrieval.embedder import Embedder
from pipeline.retrieval.index import PassageTable

PARTS = ("embed", "search", "rerank", "total")


class _Timed(LanceDBReranker):  # type: ignore[misc]
    """Passes on to ``inner`` and adds up the seconds spent there."""

    def __init__(self, inner: LanceReranker, hardware: Hardware) -> None:
        super().__init__("relevance")
        self._inner = inner
        self._hardware = hardware
        self.seconds = 0.0

    def _time(self, method: str, *arguments: Any) -> pa.Table:
        self._hardware.synchronize()
        start = time.perf_counter()
        rows = getattr(self._inner, method)(*arguments)
        self._hardware.synchronize()
        self.seconds += time.perf_counter() - start
        return rows

    def rerank_vector(self, query: str, vector_results: pa.Table) -> pa.Table:
        return self._time("rerank_vector", query, vector_results)

    def rerank_fts(self, query: str, fts_results: pa.Table) -> pa.Table:
        return self._time("rerank_fts", query, fts_results)

    def rerank_hybrid(
        self, query: str, vector_results: pa.Table, fts_results: pa.Table
    ) -> pa.Table:
        return self._time("rerank_hybrid", query, vector_results, fts_results)


def measure(
    queries: Sequence[str],
    table: PassageTable,
    embedder: Embedder,
    reranker: Scorer | None,
    hardware: Hardware,
    config: LatencyConfig,
) -> dict[str, float]:
    """Metrics named ``latency/vector_20/total_p50_ms``: p50, p95, p99 and mean of every part.

    ``queries`` are texts, the first ``config.warmup`` of them not timed; ``queries_per_s`` is
    1 / mean total, one client.
    """
    times: dict[tuple[str, int], dict[str, list[float]]] = {
        (mode, limit): {part: [] for part in PARTS} for mode in SEARCHES for limit in config.limits
    }
    for number, text in enumerate(live_line("latency", "query", queries)):
        for limit in config.limits:
            measured = _serve(text, limit, table, embedder, reranker, hardware, config)
            if number >= config.warmup:
                for mode, parts in measured.items():
                    for part, seconds in parts.items():
                        times[mode, limit][part].append(seconds * 1000)
    return {
        name: value
        for (mode, limit), parts in times.items()
        for name, value in _summary(f"latency/{mode}_{limit}", parts).items()
    }


def _serve(
    text: str,
    limit: int,
    table: PassageTable,
    embedder: Embedder,
    reranker: Scorer | None,
    hardware: Hardware,
    config: LatencyConfig,
) -> dict[str, dict[str, float]]:
    """Mode -> part -> seconds, for one query."""
    measured: dict[str, dict[str, float]] = {}
    for mode in sorted(SEARCHES, key=lambda mode: mode not in config.rerank_modes):
        timed = None
        if reranker is not None and mode in config.rerank_modes:
            timed = _Timed(LanceReranker(reranker, top_k=10, depth=limit), hardware)
        hardware.synchronize()
        start = time.perf_counter()
        vector = embedder.encode_queries([text])[0] if mode != "fts" else None
        hardware.synchronize()
        embedded = time.perf_counter()
        _search(table, mode, text, vector, limit, timed)
        hardware.synchronize()
        end = time.perf_counter()
        rerank = timed.seconds if timed else 0.0
        search = end - embedded - rerank
        if reranker is not None and timed is None:
            rerank = measured[config.rerank_modes[0]]["rerank"]
        embed = embedded - start
        measured[mode] = {
            "embed": embed,
            "search": search,
            "rerank": rerank,
            "total": embed + search + rerank,
        }
    return measured


def _search(
    table: PassageTable,
    mode: str,
    text: str,
    vector: Any,
    limit: int,
    reranker: LanceDBReranker | None,
) -> pa.Table:
    """LanceDB's own query of that mode, reranked by LanceDB's own call."""
    if mode == "vector":
        query = table.table.search(vector, vector_column_name="vector").distance_type("cosine")
        query = query.select(["id", "text", "_distance"]).limit(limit)
        if reranker is not None:
            query = query.rerank(reranker, query_string=text)
    elif mode == "fts":
        query = table.table.search(text, query_type="fts")
        query = query.select(["id", "text", "_score"]).limit(limit)
        if reranker is not None:
            query = query.rerank(reranker)
    else:
        query = table.table.search(query_type="hybrid").vector(vector).text(text)
        query = query.distance_type("cosine").select(["id", "text"]).limit(limit)
        if reranker is not None:
            query = query.rerank(reranker)
    return query.to_arrow()


def _summary(prefix: str, parts: Mapping[str, list[float]]) -> dict[str, float]:
    metrics = {}
    for part, milliseconds in parts.items():
        p50, p95, p99 = np.percentile(milliseconds, [50, 95, 99])
        statistics = {"p50": p50, "p95": p95, "p99": p99, "mean": np.mean(milliseconds)}
        for name, value in statistics.items():
            metrics[f"{prefix}/{part}_{name}_ms"] = float(value)
    metrics[f"{prefix}/queries_per_s"] = 1000 / float(np.mean(parts["total"]))
    return metrics
