"""Check whether fine-tuning on one domain costs quality on another, general data set."""

import logging
from dataclasses import replace
from pathlib import Path

from pipeline.config import KEYS
from pipeline.config.datasets import DatasetConfig
from pipeline.config.nested import named_in
from pipeline.evaluation.quality import evaluate
from pipeline.experiment import scores
from pipeline.experiment.shared import prepare_shared
from pipeline.experiment.start import Start
from pipeline.infra import hardware
from pipeline.protocols import Scorer
from pipeline.records import QuerySet

log = logging.getLogger(__name__)


def prepare_general(start: Start, dataset: DatasetConfig) -> Start:
    """The point on the general data set: its test queries, with their candidates by vector search.

    Raises:
        InputError: the data set is missing, broken or too small.
    """
    log.info(
        "forgetting: %s is measured before and after training; forgetting.dataset=null skips it",
        dataset.name,
    )
    with named_in("forgetting.dataset", KEYS):
        config = replace(start.config, dataset=dataset, epochs=0)
        general = prepare_shared(config, hardware.resolve(config.hardware), start.cache)
    vector = replace(
        general,
        dataset=replace(general.dataset, dev=QuerySet({}, {})),
        candidates={"vector": general.test_candidates()["vector"]},
        candidates_key=f"{general.candidates_key} vector of test",
    )
    return replace(start, shared=vector)


def measure(general: Start, scorer: Scorer, model: Path, when: str) -> dict[str, float]:
    """``forgetting/{when}/ndcg_at_10`` and hit rate, in 0..1; ``when`` is before or after.

    ``scorer`` was loaded from ``model``; the points of a sweep that start from the same base find
    its scores in the cache. The cutoff is the largest of ``top_k``.
    """
    pair_scores, _ = scores.score(general, scorer, model)
    config, shared = general.config.eval, general.shared
    at_k = replace(config, top_k=[max(config.top_k)])
    qrels = shared.dataset.test.qrels
    metrics = evaluate(shared.candidates, qrels, at_k, pair_scores, None).metrics()
    return {
        f"forgetting/{when}/{name.removeprefix('vector_reranked/')}": value
        for name, value in metrics.items()
        if name.startswith(("vector_reranked/ndcg", "vector_reranked/hit_rate"))
    }
