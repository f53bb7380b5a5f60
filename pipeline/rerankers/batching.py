"""Score the requests that wait together, in one thread.

While a batch is scored, requests arrive and wait. The next batch takes them in their order, up to a
number of pairs. So a request is scored at once if no other is, and under load with others.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from pipeline.infra.errors import one_line
from pipeline.protocols import Scorer
from pipeline.rerankers.windows import Parts, WindowedScorer

log = logging.getLogger(__name__)

BATCHES = 8  # forward passes that requests share at most; a bound of their pairs
SLICE = 128  # pairs of one call at least, if there are more; a large request ends between calls


class Busy(Exception):
    """Too many requests wait already."""


class NotScored(Exception):
    """The model failed at a request; the message says how."""


@dataclass(frozen=True)
class Scored:
    """The scores of a request, and the seconds that it waited until they were computed."""

    scores: list[float]
    waited: float


@dataclass(frozen=True)
class ScoredBatch:
    """What was scored together: the seconds that each request waited, and those of scoring."""

    waited: list[float]
    pairs: int
    seconds: float


@dataclass(frozen=True, eq=False)
class Job:
    """A request that waits for its scores."""

    query: str
    passages: Sequence[str]
    ids: Sequence[str] | None
    result: asyncio.Future[Scored]
    since: float = field(default_factory=time.perf_counter)


class Batcher:
    """Scores jobs with ``model`` while ``run`` runs; all methods belong to one event loop."""

    def __init__(
        self,
        model: Scorer,
        most_pairs: int,
        most_waiting: int,
        observe: Callable[[ScoredBatch], None],
    ) -> None:
        """Take at most ``most_pairs`` pairs together; a larger job is scored alone.

        ``observe`` gets every batch, before its requests are answered.
        """
        self._model = model
        self._most_pairs = most_pairs
        self._slice = max(SLICE, most_pairs // 4)  # two forward passes, if these are large
        self._most_waiting = most_waiting
        self._observe = observe
        self._waiting: list[Job] = []
        self._arrived = asyncio.Event()

    async def score(
        self, query: str, passages: Sequence[str], ids: Sequence[str] | None = None
    ) -> Scored:
        """Score the passages for the query, in their order.

        Their ``ids`` are needed by a model that has vectors stored under them. One id is one text
        in all jobs. A caller that is cancelled leaves the queue.

        Raises:
            Busy: too many jobs wait.
            NotScored: the model failed, or gave a score that is not finite.
        """
        if len(self._waiting) >= self._most_waiting:
            raise Busy
        job = Job(query, passages, ids, asyncio.get_running_loop().create_future())
        self._waiting.append(job)
        self._arrived.set()
        try:
            return await job.result
        finally:
            if job in self._waiting:
                self._waiting.remove(job)

    async def run(self) -> None:
        """Score what waits until cancelled; then the batch that has begun ends with its slice."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, thread_name_prefix="scoring") as thread:
            while True:
                await self._arrived.wait()
                batch = self._take()
                if not batch:
                    self._arrived.clear()
                    continue
                start = time.perf_counter()
                try:
                    results = await loop.run_in_executor(
                        thread, score_jobs, self._model, batch, self._slice
                    )
                except asyncio.CancelledError:
                    for job in batch:
                        job.result.cancel()
                    raise
                waited = [start - job.since for job in batch]
                pairs = sum(len(job.passages) for job in batch)
                self._observe(ScoredBatch(waited, pairs, time.perf_counter() - start))
                for job, result, seconds in zip(batch, results, waited, strict=True):
                    # None: its client has gone, or its time was over, before the last slice.
                    if result is None or job.result.done():
                        continue
                    if isinstance(result, NotScored):
                        job.result.set_exception(result)
                    else:
                        job.result.set_result(Scored(result, seconds))

    def _take(self) -> list[Job]:
        """Take the first jobs that fit into a batch."""
        batch: list[Job] = []
        pairs = 0
        for job in self._waiting:
            pairs += len(job.passages)
            if batch and pairs > self._most_pairs:
                break
            batch.append(job)
        del self._waiting[: len(batch)]
        return batch


def score_jobs(
    model: Scorer, jobs: Sequence[Job], most_pairs: int = SLICE
) -> list[list[float] | NotScored | None]:
    """Score the jobs in calls of at most ``most_pairs`` pairs; a job that fails harms no other.

    A window of a passage counts as a pair. Between two calls the jobs that nobody waits for any
    more are dropped; their result is None. If a call fails, each job is scored alone.
    """
    try:
        in_order = iter(_scores(model, jobs, most_pairs))
    except Exception as error:
        if len(jobs) > 1:
            return [score_jobs(model, [job], most_pairs)[0] for job in jobs]
        log.error("a request was not scored: %s", one_line(error))
        return [NotScored("the model failed at this request; the server's log says why")]
    of_jobs = [[next(in_order) for _ in job.passages] for job in jobs]
    return [
        None if job.result.done() else _checked(of_job)
        for job, of_job in zip(jobs, of_jobs, strict=True)
    ]


def _scores(model: Scorer, jobs: Sequence[Job], most_pairs: int) -> list[float]:
    """Score the passages of all jobs in order; NaN where nobody waits for the score any more."""
    queries = {str(i): job.query for i, job in enumerate(jobs)}
    parts = Parts()
    job_of: list[Job] = []  # of each pair
    for i, job in enumerate(jobs):
        ids = job.ids or [f"{i}.{j}" for j in range(len(job.passages))]
        for doc_id, passage in zip(ids, job.passages, strict=True):
            texts = [passage]
            if isinstance(model, WindowedScorer) and not job.result.done():
                texts = model.read(passage)
            parts.add(str(i), doc_id, texts)
        job_of += [job] * (len(parts.pairs) - len(job_of))
    scorer = model.inner if isinstance(model, WindowedScorer) else model
    scores = np.full(len(parts.pairs), math.nan)
    # Similar lengths together, so that a call pads little.
    lengths = [len(parts.texts[name]) for _, name in parts.pairs]
    order = sorted(range(len(lengths)), key=lambda place: -lengths[place])
    wanted = (place for place in order if not job_of[place].result.done())
    while some := list(islice(wanted, most_pairs)):
        of_some = [parts.pairs[place] for place in some]
        scores[some] = scorer.score_pairs(queries, parts.texts, of_some)
    best: list[float] = parts.best(scores).tolist()
    return best


def _checked(scores: list[float]) -> list[float] | NotScored:
    wrong = next((i for i, score in enumerate(scores) if not math.isfinite(score)), None)
    if wrong is None:
        return scores
    return NotScored(f"the model's score of document {wrong} is not finite; leave it out")
