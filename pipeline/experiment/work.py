"""Count what a point has to compute, from which its time is estimated."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pipeline import data
from pipeline.config import KEYS, Config
from pipeline.config.nested import named_in
from pipeline.config.stages import LatencyConfig
from pipeline.experiment import latency, model, scores, token_vectors
from pipeline.experiment.shared import Shared
from pipeline.experiment.start import Start
from pipeline.experiment.teacher import find_teacher
from pipeline.infra.model_files import content_hash
from pipeline.infra.stage_cache import content_key
from pipeline.records import SEARCHES
from pipeline.training.schedule import Schedule

TIMED = 30  # queries of a latency, which is timed with 20 to 100 of them


class Work(NamedTuple):
    """What a point computes; the results that the stage cache has are not counted."""

    trained: int = 0  # (query, passage) pairs in all training steps
    scored: int = 0  # pairs of candidates
    served: int = 0  # pairs reranked one query at a time, to time it
    searched: int = 0  # searches of one query each, to time them
    encoded: int = 0  # passages whose token vectors are stored
    called: float = 0.0  # seconds in which several callers ask at once
    dev: int = 0  # pairs of dev candidates, to compare the checkpoints of a training
    taught: int = 0  # pairs of training queries and passages that a teacher scores
    general: int = 0  # pairs of the general data set that the forgetting check scores

    @property
    def ranked(self) -> int:
        """Pairs of candidates, those of dev queries included."""
        return self.scored + self.dev

    @property
    def to_score(self) -> int:
        """Pairs that are scored: of candidates, by a teacher and by the forgetting check."""
        return self.ranked + self.taught + self.general


def add_new(parts: Mapping[str, Work], counted: set[str]) -> Work:
    """Add up the parts whose keys are not in ``counted`` yet, and put them there.

    Points that share a part, such as a trained model, have the same key for it.
    """
    new = [work for key, work in parts.items() if key not in counted]
    counted.update(parts)
    return Work(*map(sum, zip(*new, strict=True))) if new else Work()


def count(start: Start, counted: set[str]) -> Work:
    """Count the work of a point.

    ``counted`` collects the keys of what points share: latencies, models, token vectors, scores.

    Raises:
        InputError: the general data set of the forgetting check can't be found or used.
    """
    config, shared, cache = start.config, start.shared, start.cache
    parts: dict[str, Work] = {}
    if config.latency.enabled:
        inputs = latency.inputs(start)
        reads = config.arch.name != "none" and config.rerank.vectors == "none"
        found = cache.find("latency", inputs)
        parts[content_key(inputs)] = Work() if found else time_work(config.latency, reads)
    if config.arch.name == "none":
        return add_new(parts, counted)
    folder: Path | None = start.base
    key = content_hash(start.base)
    if config.epochs > 0:
        key, folder = model.find_trained(start)
        schedule = model.schedule(start)
        dev = dev_pairs(config, schedule, len(shared.dataset.dev))
        parts[key] = Work() if folder else Work(trained=schedule.pairs, dev=dev)
        if folder is None:
            parts |= _of_teacher(start)
        parts |= _of_forgetting(start, key, done=folder is not None)
    key = f"{key} {config.arch.in_use()} {config.seed}"
    if config.rerank.vectors == "none":
        of_scores = folder and scores.inputs(start, folder)
        found = cache.find("scores", of_scores) if of_scores else None
        pairs = Work() if found else Work(scored=candidate_pairs(shared)[0])
        parts[f"scores {key} {shared.candidates_key} {config.rerank}"] = pairs
    else:
        full = folder and token_vectors.inputs(start, token_vectors.FULL, folder)
        found = cache.find("token_vectors", full) if full else None
        parts[f"vectors {key}"] = Work() if found else Work(encoded=len(shared.dataset.corpus))
    return add_new(parts, counted)


def _of_teacher(start: Start) -> dict[str, Work]:
    """What the teacher of an untrained model has to score, by the key of its scores.

    It is estimated at the speed of the point, as measuring a teacher would take as long again.
    """
    teacher = find_teacher(start)
    if teacher is None:
        return {}
    rows = start.training_set
    pairs = len(rows) + rows.queries * start.config.negatives
    found = start.cache.find("teacher", teacher.inputs)
    return {f"teacher {content_key(teacher.inputs)}": Work() if found else Work(taught=pairs)}


def _of_forgetting(start: Start, model_key: str, done: bool) -> dict[str, Work]:
    """What the forgetting check scores before and after training, by what determines it.

    The keys of these scores need the index of the general data set, which only the point makes. So
    they count as cached if the model is (``done``): its point was checked around its training.
    """
    config, dataset = start.config, start.config.forgetting.dataset
    if dataset is None:
        return {}
    pairs = 0
    if not done:
        with named_in("forgetting.dataset", KEYS):
            general = data.load(dataset, start.cache)
        pairs = len(general.test) * min(config.eval.candidates, len(general.corpus))
    before = content_hash(start.base), config.arch.in_use(), config.seed
    searched = str((dataset, config.embedder, config.index, config.eval, config.rerank))
    return {
        f"general {model} {searched}": Work(general=pairs) for model in (str(before), model_key)
    }


def candidate_pairs(shared: Shared) -> tuple[int, int]:
    """Count the different pairs of query and candidate, and the different passages in them."""
    rankings = shared.candidates.values()
    queries = shared.dataset.searched
    found = [{hit.doc_id for ranking in rankings for hit in ranking[q]} for q in queries]
    return sum(map(len, found)), len(set().union(*found))


def dev_pairs(config: Config, schedule: Schedule, queries: int) -> int:
    """Count the dev candidates that are scored while a model trains."""
    every = schedule.eval_steps
    times = math.ceil(schedule.steps / every) if every else 0
    times += 2 * config.base.dedicated  # before and after
    return times * queries * min(config.eval.dev_depth, config.eval.candidates)


def time_work(config: LatencyConfig, reads: bool) -> Work:
    """Count what it takes to time the searches, with the number of queries that is usual.

    ``reads``: the reranker reads the passages of each query, which stored vectors spare.
    """
    queries = config.warmup + min(config.queries, max(config.fewest_queries, TIMED))
    served = queries * sum(config.limits) * len(config.rerank_modes)
    searched = queries * len(config.limits) * len(SEARCHES)
    called = config.callers_seconds if config.callers > 1 else 0.0
    return Work(served=served if reads else 0, searched=searched, called=called)
