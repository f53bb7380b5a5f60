"""Latency of serving one query: its text in, LanceDB's reranked rows out.

Queries are timed one at a time, after a warm-up, with the device synchronised before the clock is
read. What is timed is what is evaluated: the queries of ``Searches`` and the ``LanceReranker``.

The reranker sees ``limit`` passages cut at the same length, whichever search found them. So on a
small machine reranking can be timed in some searches only (``latency.rerank_modes``). The other
searches then get that time, query by query, from the first of them.

A limit is timed until the medians of its searches are known to 5%. Then more queries would say
little, and a slow reranker takes a second for each.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice

import numpy as np
import pyarrow as pa
from lancedb.query import MatchQuery
from lancedb.rerankers import Reranker as LanceDBReranker
from lancedb.table import Table

from pipeline.config.stages import LatencyConfig
from pipeline.evaluation.quantiles import interval_metrics, precise, summary
from pipeline.infra.console import live_line
from pipeline.infra.hardware import Hardware
from pipeline.protocols import Scorer
from pipeline.records import SEARCHES
from pipeline.rerankers.lance import LanceReranker
from pipeline.retrieval.embedder import Embedder
from pipeline.retrieval.searches import Searches

PARTS = ("embed", "search", "rerank", "total")
TOP_K = 10  # passages returned
STEP = 10  # queries from one look at the intervals to the next


@dataclass(frozen=True)
class Stack:
    """What answers queries: the searches of a table, and a reranker unless it is None."""

    table: Table
    search_depth: int  # that of the evaluation, as is rrf_k
    rrf_k: int
    embedder: Embedder
    reranker: Scorer | None
    hardware: Hardware

    def searches(self, limit: int) -> Searches:
        """The searches if the first ``limit`` passages are reranked."""
        return Searches(self.table, max(self.search_depth, limit))

    def reranking(self, scorer: Scorer | None, limit: int) -> LanceReranker:
        """What LanceDB reranks the first ``limit`` passages with; None keeps the search's order."""
        depth = max(self.search_depth, limit)
        return LanceReranker(scorer, TOP_K, limit, hybrid_k=self.rrf_k, search_depth=depth)


def measure(queries: Sequence[str], stack: Stack, config: LatencyConfig) -> dict[str, float]:
    """Return metrics named ``latency/vector_20/total_p50_ms``: p50, p95, p99, mean of every part.

    The total and what reranking adds also have the ends of their 95% intervals, as
    ``latency/vector_20/rerank_p95_low_ms``.

    ``queries`` are texts. The first ``config.warmup`` of them are not timed; if there are no more
    than that, all are warmed up and then timed. A limit is done as soon as the medians
    of its searches are precise; the metric ``latency/vector_20/queries`` is how many were timed.
    ``queries_per_s`` is 1 / mean total, with one client. ``latency/first_query_ms`` is the total of
    the first query of all, once, in the first search that is reranked, at the first limit.
    """
    searches = {limit: stack.searches(limit) for limit in config.limits}
    first = config.limits[0]
    cold = _serve(queries[0], first, searches[first], stack, config)
    times = _times(queries, searches, stack, config)
    metrics = {"latency/first_query_ms": next(iter(cold.values()))["total"] * 1000}
    for (search, limit), parts in times.items():
        prefix = f"latency/{search}_{limit}"
        metrics |= summary(prefix, parts)
        for part in ("total", "rerank") if stack.reranker else ("total",):
            metrics |= interval_metrics(f"{prefix}/{part}", parts[part])
        metrics[f"{prefix}/queries"] = len(parts["total"])
        metrics[f"{prefix}/queries_per_s"] = 1000 / float(np.mean(parts["total"]))
    return metrics


def _times(
    queries: Sequence[str], searches: Mapping[int, Searches], stack: Stack, config: LatencyConfig
) -> dict[tuple[str, int], dict[str, list[float]]]:
    """Serve the queries after a warm-up; return (search, limit) -> part -> milliseconds.

    ``searches`` are by limit. A limit is done as soon as the medians of its searches are precise.
    """
    times: dict[tuple[str, int], dict[str, list[float]]] = {
        (search, limit): {part: [] for part in PARTS} for search in SEARCHES for limit in searches
    }
    warmup = list(islice(cycle(queries), config.warmup))
    texts = [*warmup, *(queries[config.warmup :] or queries)]
    limits = list(config.limits)
    # The first query after the warm-up has the number 1.
    for number, text in enumerate(live_line("latency", "query", texts), 1 - len(warmup)):
        for limit in limits:
            served = _serve(text, limit, searches[limit], stack, config)
            if number > 0:
                for search, parts in served.items():
                    for part, seconds in parts.items():
                        times[search, limit][part].append(seconds * 1000)
        if number >= config.fewest_queries and number % STEP == 0:
            totals = {limit: [times[s, limit]["total"] for s in SEARCHES] for limit in limits}
            limits = [limit for limit in limits if not all(map(precise, totals[limit]))]
        if not limits:
            break
    return times


class TimedReranker(LanceDBReranker):  # type: ignore[misc]
    """Reranks by ``inner`` and adds up the seconds."""

    def __init__(self, inner: LanceReranker, hardware: Hardware) -> None:
        super().__init__("relevance")
        self._inner = inner
        self._hardware = hardware
        self.seconds = 0.0

    @contextmanager
    def _clock(self) -> Iterator[None]:
        start = _now(self._hardware)
        yield
        self.seconds += _now(self._hardware) - start

    def rerank_vector(self, query: str, vector_results: pa.Table) -> pa.Table:
        """Rerank the rows of a vector search."""
        with self._clock():
            return self._inner.rerank_vector(query, vector_results)

    def rerank_fts(self, query: str | MatchQuery, fts_results: pa.Table) -> pa.Table:
        """Rerank the rows of a full-text search."""
        with self._clock():
            return self._inner.rerank_fts(query, fts_results)

    def rerank_hybrid(
        self, query: str | MatchQuery, vector_results: pa.Table, fts_results: pa.Table
    ) -> pa.Table:
        """Fuse the rows of both searches and rerank them."""
        with self._clock():
            return self._inner.rerank_hybrid(query, vector_results, fts_results)


def _serve(
    text: str, limit: int, searches: Searches, stack: Stack, config: LatencyConfig
) -> dict[str, dict[str, float]]:
    """Serve one query by every search; return search -> part -> seconds."""
    measured: dict[str, dict[str, float]] = {}
    # The searches that are reranked come first, as the others take their time over.
    for search in sorted(SEARCHES, key=lambda search: search not in config.rerank_modes):
        reranks = stack.reranker is not None and search in config.rerank_modes
        parts = _serve_by(search, text, limit, searches, stack, reranks)
        if stack.reranker is not None and not reranks:
            parts["rerank"] = measured[config.rerank_modes[0]]["rerank"]
        measured[search] = parts | {"total": sum(parts.values())}
    return measured


def _serve_by(
    search: str, text: str, limit: int, searches: Searches, stack: Stack, reranks: bool
) -> dict[str, float]:
    """Serve one query by one search; return part -> seconds, without the total."""
    reranker = stack.reranking(stack.reranker if reranks else None, limit)
    timed = TimedReranker(reranker, stack.hardware) if reranks else None
    start = _now(stack.hardware)
    vector = stack.embedder.encode_queries([text])[0] if search != "fts" else None
    embedded = _now(stack.hardware)
    searches.reranked(search, text, vector, timed or reranker).to_arrow()
    end = _now(stack.hardware)
    reranking = timed.seconds if timed else 0.0
    return {
        "embed": embedded - start,
        "search": end - embedded - reranking,
        "rerank": reranking,
    }


def _now(hardware: Hardware) -> float:
    """Read the clock, in seconds, once the device has done its work."""
    hardware.synchronize()
    return time.perf_counter()
