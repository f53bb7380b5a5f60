"""Let models order the same candidates, and measure each order.

In mode ``retrieve`` the candidates are those of the three searches, as in a grid run; in mode
``rerank`` they are the labelled passages of every query, without any search.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline import data
from pipeline.config import Config
from pipeline.config.stages import EvalConfig
from pipeline.evaluation.quality import evaluate
from pipeline.experiment.seen import seen
from pipeline.experiment.shared import prepare_shared, warn_of_empty_lists
from pipeline.infra.hardware import Hardware
from pipeline.infra.stage_cache import StageCache
from pipeline.protocols import Scorer
from pipeline.records import Dataset, Hit, InputError, Qrels, Ranking
from pipeline.rerankers.scores import collapsed, score_candidates
from pipeline.retrieval.ties import tie_key

log = logging.getLogger(__name__)

LABELLED = "labelled"
"""The name of the only "search" in mode rerank."""


@dataclass(frozen=True)
class Task:
    """The candidates by search of the test queries ``queries``."""

    dataset: Dataset
    mode: str
    queries: Mapping[str, str]
    qrels: Qrels
    candidates: Mapping[str, Ranking]
    config: EvalConfig  # with the cutoff of the metric alone


@dataclass(frozen=True)
class Order:
    """One order of one search's candidates: the metric by query id, and the order itself.

    ``ranks_nothing`` is set for a model whose scores are equal, so that the order is not its own.
    """

    values: Mapping[str, float]
    ranking: Ranking
    ranks_nothing: bool = False


def make_task(config: Config, machine: Hardware, cache: StageCache, mode: str, cutoff: int) -> Task:
    """The test split of the data set of ``config`` as a task, with an index if it needs one.

    Raises:
        InputError: the data set can't be found, has nothing to rerank in mode ``rerank``, or
            ``eval.top_k`` lacks the cutoff in mode ``retrieve``.
    """
    dataset = data.load(config.dataset, cache)
    if mode == "rerank" or (mode == "auto" and any(dataset.test.irrelevant.values())):
        return labelled_task(dataset, cutoff)
    if cutoff not in config.eval.top_k:
        raise InputError(
            f"metric: the cutoff {cutoff} is not in eval.top_k={config.eval.top_k}, "
            f"add eval.top_k=[{cutoff}]"
        )
    shared = prepare_shared(config, machine, cache)
    warn_of_empty_lists(shared)
    test = shared.dataset.test
    at_cutoff = replace(config.eval, top_k=[cutoff])
    candidates = shared.test_candidates()
    return Task(shared.dataset, "retrieve", test.queries, test.qrels, candidates, at_cutoff)


def without_seen(task: Task, models: Mapping[str, Path]) -> Task:
    """Leave out the queries that one of the ``models``, KEY=VALUE -> folder, has seen.

    Raises:
        InputError: no query is left.
    """
    left_out: set[str] = set()
    for name, folder in models.items():
        if found := seen(folder, task.queries):
            log.warning(
                "%s: %d of the %d queries are among its training or dev queries; they are left out",
                name,
                len(found),
                len(task.queries),
            )
            left_out |= found
    if not left_out:
        return task
    kept = [query_id for query_id in task.queries if query_id not in left_out]
    if not kept:
        raise InputError(
            f"{', '.join(models)}: all {len(task.queries)} test queries of {task.dataset.name} are "
            "among the training or dev queries of these models; split them as for their training"
        )
    return replace(
        task,
        queries={query_id: task.queries[query_id] for query_id in kept},
        qrels={query_id: task.qrels[query_id] for query_id in kept},
        candidates={
            search: {query_id: ranking[query_id] for query_id in kept}
            for search, ranking in task.candidates.items()
        },
    )


def searches_alone(task: Task, metric: str) -> dict[str, Order]:
    """The order of the searches themselves; empty in mode ``rerank``."""
    if task.mode == "rerank":
        return {}
    return _measured(task, metric, None)


def measure(task: Task, metric: str, reranker: Scorer) -> dict[str, Order]:
    """The order that ``reranker`` gives to the candidates of each search."""
    scores = score_candidates(reranker, task.queries, task.dataset.corpus, task.candidates)
    return _measured(task, metric, scores)


def _measured(
    task: Task, metric: str, scores: Mapping[str, Mapping[str, float]] | None
) -> dict[str, Order]:
    evaluation = evaluate(task.candidates, task.qrels, task.config, scores, None)
    suffix = "" if scores is None else "_reranked"
    (k,) = task.config.top_k
    nothing = scores is not None and collapsed(scores)
    return {
        search: Order(
            evaluation.per_query[f"{search}{suffix}"][metric],
            evaluation.rankings[f"{search}{suffix}", k],
            nothing,
        )
        for search in task.candidates
    }


def labelled_task(dataset: Dataset, cutoff: int) -> Task:
    """The labelled passages of every test query, relevant and irrelevant.

    Queries whose labels are all equal are left out, as every order of theirs is as good.

    Raises:
        InputError: no query is left.
    """
    test = dataset.test
    judged: Ranking = {}
    for query_id, gains in test.qrels.items():
        labels = dict.fromkeys(test.irrelevant.get(query_id, ()), 0) | gains
        if len(set(labels.values())) > 1:
            # By content, as models that score passages the same leave them in this order.
            order = sorted(labels, key=lambda doc_id: (tie_key(dataset.corpus[doc_id]), doc_id))
            judged[query_id] = [Hit(doc_id, 0.0) for doc_id in order]
    if not judged:
        raise InputError(
            f"mode=rerank: no test query of {dataset.name} has passages with different labels, "
            "use mode=retrieve"
        )
    deepest = max(len(hits) for hits in judged.values())
    return Task(
        dataset,
        "rerank",
        {query_id: test.queries[query_id] for query_id in judged},
        {query_id: test.qrels[query_id] for query_id in judged},
        {LABELLED: judged},
        EvalConfig(top_k=[cutoff], depth=max(deepest, cutoff)),
    )
