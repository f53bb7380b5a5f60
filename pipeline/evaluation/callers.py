"""Measure latency and throughput of several callers, each asking again once it is answered.

They share one model, as the clients of ``python -m pipeline serve`` do: the ``Batcher`` scores what
waits together, in one thread. Another thread embeds their queries, one by one. Each caller searches
in a thread of its own, by the path that ``latency`` times for one caller.

``queue`` is the time until these threads begin with a query. In a closed loop latency is about
callers / throughput.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle

import numpy as np

from pipeline.config.stages import LatencyConfig
from pipeline.evaluation import latency
from pipeline.evaluation.latency import Stack, TimedReranker
from pipeline.evaluation.quantiles import summary
from pipeline.protocols import Scorer, Scores
from pipeline.rerankers.batching import BATCHES, Batcher
from pipeline.retrieval.embedder import Vectors
from pipeline.retrieval.searches import Searches

PARTS = ("queue", *latency.PARTS)


def measure(
    queries: Sequence[str], stack: Stack, config: LatencyConfig, batch_size: int
) -> dict[str, float]:
    """Return metrics named ``latency/callers_8/hybrid_20/total_p50_ms``, and ``queries_per_s``.

    The search is the first of ``config.rerank_modes``, the limit the first of ``config.limits``.
    ``config.callers`` ask for ``config.callers_seconds``, each at least once; queries that have
    begun are waited for.
    ``batch_size`` is that of a forward pass.
    """
    search, limit = config.rerank_modes[0], config.limits[0]
    searches = stack.searches(limit)
    texts, served = cycle(queries), list[dict[str, float]]()
    with (
        ThreadPoolExecutor(1, "embedding") as embedding,
        sharing(stack.reranker, BATCHES * batch_size, config.callers) as model,
        ThreadPoolExecutor(config.callers, "caller") as callers,
    ):
        path = ServingPath(stack, searches, search, limit, embedding, model)
        path.serve(next(texts))  # its threads begin
        start = time.perf_counter()

        def ask_again(_caller: int) -> None:
            served.append(path.serve(next(texts)))
            while time.perf_counter() - start < config.callers_seconds:
                served.append(path.serve(next(texts)))

        list(callers.map(ask_again, range(config.callers)))
        seconds = time.perf_counter() - start
    prefix = f"latency/callers_{config.callers}/{search}_{limit}"
    metrics = summary(prefix, {p: [1000 * parts[p] for parts in served] for p in PARTS})
    metrics[f"{prefix}/queries"] = len(served)
    metrics[f"{prefix}/queries_per_s"] = len(served) / seconds
    return metrics


@dataclass(frozen=True)
class SharedModel:
    """A model that callers in several threads share, through a batcher in the loop of another."""

    batcher: Batcher
    loop: asyncio.AbstractEventLoop


@contextmanager
def sharing(model: Scorer | None, most_pairs: int, callers: int) -> Iterator[SharedModel | None]:
    """Share ``model``, if there is one, within the block."""
    if model is None:
        yield None
        return
    batcher = Batcher(model, most_pairs, callers, observe=lambda _: None)
    loop = asyncio.new_event_loop()
    worker = loop.create_task(batcher.run())
    with ThreadPoolExecutor(1, "batches") as thread:
        thread.submit(loop.run_until_complete, worker)
        try:
            yield SharedModel(batcher, loop)
        finally:
            loop.call_soon_threadsafe(worker.cancel)
    loop.close()


class SharedScorer:
    """Scores the passages of one query by a shared model, and keeps how long it waited."""

    def __init__(self, model: SharedModel) -> None:
        self._model = model
        self.waited = 0.0  # seconds

    def score_pairs(
        self,
        queries: Mapping[str, str],
        passages: Mapping[str, str],
        pairs: Sequence[tuple[str, str]],
        progress: bool = False,
    ) -> Scores:
        """Wait for the scores of pairs that have one query."""
        (query,) = queries.values()
        ids = [doc_id for _, doc_id in pairs]
        job = self._model.batcher.score(query, [passages[doc_id] for doc_id in ids], ids)
        scored = asyncio.run_coroutine_threadsafe(job, self._model.loop).result()
        self.waited += scored.waited
        return np.array(scored.scores, np.float32)


@dataclass(frozen=True)
class ServingPath:
    """The path of a query from its text to LanceDB's reranked rows; threads may share it."""

    stack: Stack
    searches: Searches
    search: str
    limit: int
    embedding: Executor
    model: SharedModel | None

    def serve(self, text: str) -> dict[str, float]:
        """Serve one query; return the seconds of each part, of which total is the sum."""
        start = time.perf_counter()
        vector, embed, queue = None, 0.0, 0.0
        if self.search != "fts":
            vector, embed = self.embedding.submit(self._embed, text).result()
            queue = time.perf_counter() - start - embed
        request = SharedScorer(self.model) if self.model else None
        served = self.stack.reranking(request, self.limit)
        timed = TimedReranker(served, self.stack.hardware)
        self.searches.reranked(self.search, text, vector, timed).to_arrow()
        total = time.perf_counter() - start
        rerank = 0.0
        if request:
            queue += request.waited
            rerank = timed.seconds - request.waited
        return {
            "queue": queue,
            "embed": embed,
            "search": total - queue - embed - rerank,
            "rerank": rerank,
            "total": total,
        }

    def _embed(self, text: str) -> tuple[Vectors, float]:
        """Return the vector of a query, and the seconds that it took."""
        start = time.perf_counter()
        vector = self.stack.embedder.encode_queries([text])[0]
        return vector, time.perf_counter() - start
