"""Count the work of a point from its configuration alone."""

import math
from collections.abc import Sequence
from pathlib import Path

from pipeline.config import Config
from pipeline.config.datasets import DatasetConfig, GooaqConfig, PydocsConfig
from pipeline.config.models import DISTILLING
from pipeline.experiment.precision import of_reranker
from pipeline.experiment.speed import invented
from pipeline.experiment.work import Work, add_new, dev_pairs, time_work
from pipeline.infra import hardware
from pipeline.infra.model_files import prepare_base
from pipeline.infra.stage_cache import StageCache
from pipeline.sweep.estimate import Counted
from pipeline.sweep.sizes import CountedConfig
from pipeline.training.schedule import Schedule, plan

LOCAL = ("none", "package:", "random:")  # how a base.path begins that needs no hub and no run
SHARE = 0.62  # of the candidates of three searches are different passages, as measured on pydocs


def full_schedule(point: Config) -> Schedule | None:
    """The schedule of a point's training if every row is used.

    None where only the data can tell how many rows there are.
    """
    rows, queries = training_rows(point), training_queries(point)
    if rows is None or queries is None:
        return None
    return plan(point.arch.loss, rows, queries, point.negatives, point.epochs, point.train)


def training_rows(point: Config) -> int | None:
    """(query, relevant passage) rows at most; None where only the data can tell.

    With a part of the queries, their share of all rows. A data set that was not read is taken to
    have one relevant passage per query.
    """
    queries, dataset = training_queries(point), point.dataset
    if queries and isinstance(dataset, CountedConfig):
        return round(dataset.relevant * queries / (dataset.max_train_queries or queries))
    return queries


def training_queries(point: Config) -> int | None:
    """Training queries at most; None where only the data can tell."""
    dataset = point.dataset
    queries = dataset.max_train_queries
    if isinstance(dataset, GooaqConfig):
        available = dataset.train_rows[1] - dataset.train_rows[0]
        queries = min(queries or available, available)
    limits = [limit for limit in (queries, point.train.queries) if limit is not None]
    return min(limits, default=None)


def candidate_pairs(point: Config) -> int | None:
    """Pairs of query and candidate; None where only the data can tell."""
    queries = test_queries(point.dataset)
    if queries is None:
        return None
    queries += point.dataset.max_dev_queries or 0
    most = passages(point) or math.inf
    return round(min(SHARE * 3 * point.eval.candidates, most) * queries)


def test_queries(dataset: DatasetConfig) -> int | None:
    """Test queries; None where only the data can tell.

    A source of one's own that was not read may have fewer queries than its limits.
    """
    known = isinstance(dataset, (PydocsConfig, GooaqConfig, CountedConfig))
    return dataset.max_eval_queries if known else None


def passages(point: Config) -> int | None:
    """Passages that are searched, at most; None where only the data can tell."""
    return passages_of(point.dataset)


def passages_of(dataset: DatasetConfig) -> int | None:
    """Passages of a data set that are searched, as in ``passages``."""
    limits = [dataset.max_corpus]
    if isinstance(dataset, GooaqConfig):
        limits.append(dataset.index_rows[1] - dataset.index_rows[0])
    return min((limit for limit in limits if limit is not None), default=None)


def model_key(point: Config) -> str:
    """The same for points that train the same model."""
    model = (point.dataset, point.base, point.arch, point.negatives, point.epochs, point.seed)
    return str((*model, point.mining, point.train))


def works(points: Sequence[Config]) -> list[Work | None]:
    """Count what every point computes; what points share counts for the first of them."""
    counted: set[str] = set()
    return [work(point, counted) for point in points]


def work(point: Config, counted: set[str]) -> Work | None:
    """Count what a point computes if nothing is cached; None where only the data can tell.

    ``counted`` collects what points share, such as models, token vectors and scores.
    """
    pairs = candidate_pairs(point)
    if pairs is None:
        return None
    parts = _parts(point, pairs)
    known = {key: part for key, part in parts.items() if part is not None}
    if parts.keys() - known.keys() - counted:
        return None
    return add_new(known, counted)


def _parts(point: Config, pairs: int) -> dict[str, Work | None]:
    """What a point computes, by keys that are the same for points that share it."""
    parts: dict[str, Work | None] = {}
    stored, scores = point.rerank.vectors != "none", point.arch.name != "none"
    if point.latency.enabled:
        timed = (point.dataset, point.base, point.arch.in_use(), point.rerank, point.latency)
        parts[str(timed)] = time_work(point.latency, reads=scores and not stored)
    if not scores:
        return parts
    model = model_key(point)
    if point.epochs > 0:
        schedule = full_schedule(point)
        dev = schedule and dev_pairs(point, schedule, point.dataset.max_dev_queries or 0)
        parts[model] = Work(trained=schedule.pairs, dev=dev or 0) if schedule else None
        parts |= _of_teacher(point) | _of_forgetting(point, model)
    if stored:
        corpus = passages(point)
        parts[f"vectors {model}"] = None if corpus is None else Work(encoded=corpus)
    else:
        searched = (point.embedder, point.index, point.eval.candidates, point.eval.rrf_k)
        parts[f"scores {model} {searched} {point.rerank}"] = Work(scored=pairs)
    return parts


def _of_teacher(point: Config) -> dict[str, Work | None]:
    """The training passages that a teacher scores; points that share its scores have one key."""
    if point.arch.loss not in DISTILLING:
        return {}
    train, rows, queries = point.train, training_rows(point), training_queries(point) or 0
    scores = (point.dataset, train.teacher, train.teacher_fusion, train.queries, point.embedder)
    pairs = None if rows is None else Work(taught=rows + queries * point.negatives)
    return {f"teacher {scores} {point.mining} {point.negatives}": pairs}


def _of_forgetting(point: Config, model: str) -> dict[str, Work | None]:
    """The candidates of the general data set, by vector search, before and after training."""
    dataset = point.forgetting.dataset
    if dataset is None:
        return {}
    queries = test_queries(dataset)
    found = min(point.eval.candidates, passages_of(dataset) or point.eval.candidates)
    pairs = None if queries is None else Work(general=queries * found)
    before = str((point.base, point.arch.in_use(), point.seed))
    searched = str((dataset, point.embedder, point.index, point.eval, point.rerank))
    return dict.fromkeys((f"general {start} {searched}" for start in (before, model)), pairs)


def is_here(point: Config) -> bool:
    """Whether the base can be loaded without a download."""
    return point.base.path.startswith(LOCAL) or Path(point.base.path).is_dir()


def with_speed(point: Config, counted: Work, cache: StageCache) -> Counted:
    """What the point's speed is measured with, on invented texts; ``cache`` keeps the base.

    Raises:
        InputError: the base can't be used.
    """
    base = prepare_base(point.base, cache)
    machine = hardware.resolve(point.hardware)
    machine = of_reranker(point, machine, base, cache)
    pairs = counted.to_score
    shared_by = max(1, round(pairs / min(pairs or 1, passages(point) or pairs or 1)))
    return Counted(point, base, machine, counted, lambda: invented(point, shared_by))
