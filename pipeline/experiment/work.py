"""Count what a point has to compute, from which its time is estimated."""

import math
from pathlib import Path
from typing import NamedTuple

from pipeline.config import Config
from pipeline.config.stages import LatencyConfig
from pipeline.experiment import latency, model, scores
from pipeline.experiment.shared import Shared
from pipeline.experiment.teacher import teacher_scores
from pipeline.infra.hardware import Hardware
from pipeline.infra.stage_cache import StageCache, content_key
from pipeline.records import SEARCHES
from pipeline.training.schedule import Schedule

TIMED = 30  # queries of a latency, which is timed with 20 to 100 of them


class Work(NamedTuple):
    """What a point computes; the results that the stage cache has are not counted."""

    trained: int = 0  # (query, passage) pairs in all training steps
    scored: int = 0  # pairs of candidates, and of dev candidates to compare checkpoints
    served: int = 0  # pairs reranked one query at a time, to time it
    searched: int = 0  # searches of one query each, to time them


def count(
    config: Config,
    shared: Shared,
    base: Path,
    machine: Hardware,
    cache: StageCache,
    timed: set[str],
) -> Work:
    """Count the work of a point that starts from ``base``, with a settled ``machine``.

    ``timed`` collects the keys of the latencies that are counted, as points share them.
    """
    work = Work()
    if config.latency.enabled:
        inputs = latency.inputs(config, shared, machine, base)
        if content_key(inputs) not in timed and cache.find("latency", inputs) is None:
            work = time_work(config.latency, reranks=config.arch.name != "none")
        timed.add(content_key(inputs))
    if config.arch.name == "none":
        return work
    folder: Path | None = base
    if config.epochs > 0:
        teacher = teacher_scores(config, shared, cache)
        trained = cache.find("model", model.inputs(config, shared, base, teacher, machine))
        folder = trained / model.MODEL if trained else None
        if folder is None:
            schedule = model.schedule(config, shared)
            dev = dev_pairs(config, schedule, len(shared.dataset.dev))
            work = work._replace(trained=schedule.pairs, scored=dev)
    if folder is None or not cache.find("scores", scores.inputs(config, shared, folder, machine)):
        work = work._replace(scored=work.scored + candidate_pairs(shared)[0])
    return work


def candidate_pairs(shared: Shared) -> tuple[int, int]:
    """Count the different pairs of query and candidate, and the different passages in them."""
    rankings = shared.candidates.values()
    queries = shared.dataset.dev.queries | shared.dataset.test.queries
    found = [{hit.doc_id for ranking in rankings for hit in ranking[q]} for q in queries]
    return sum(map(len, found)), len(set().union(*found))


def dev_pairs(config: Config, schedule: Schedule, queries: int) -> int:
    """Count the dev candidates that are scored while a model trains."""
    every = schedule.eval_steps
    times = math.ceil(schedule.steps / every) if every else 0
    times += 2 * config.base.dedicated  # before and after
    return times * queries * config.eval.dev_depth


def time_work(config: LatencyConfig, reranks: bool) -> Work:
    """Count what it takes to time the searches, with the number of queries that is usual."""
    queries = config.warmup + min(config.queries, TIMED)
    served = queries * sum(config.limits) * len(config.rerank_modes)
    searched = queries * len(config.limits) * len(SEARCHES)
    return Work(served=served if reranks else 0, searched=searched)
