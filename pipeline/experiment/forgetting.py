"""Check whether fine-tuning on one domain costs quality on another, general data set."""

import logging
from dataclasses import replace
from pathlib import Path

from pipeline.config import KEYS, Config
from pipeline.config.datasets import DatasetConfig
from pipeline.config.nested import named_in
from pipeline.evaluation.quality import evaluate
from pipeline.experiment import scores
from pipeline.experiment.shared import Shared, prepare_shared
from pipeline.infra.hardware import Hardware
from pipeline.infra.stage_cache import StageCache
from pipeline.protocols import Scorer
from pipeline.records import QuerySet

log = logging.getLogger(__name__)


def prepare_general(
    config: Config, dataset: DatasetConfig, machine: Hardware, cache: StageCache
) -> Shared:
    """The general data set, its test queries only, with their candidates by vector search.

    Raises:
        InputError: the data set is missing, broken or too small.
    """
    log.info(
        "forgetting: %s is measured before and after training; forgetting.dataset=null skips it",
        dataset.name,
    )
    with named_in("forgetting.dataset", KEYS):
        general = prepare_shared(replace(config, dataset=dataset, epochs=0), machine, cache)
    return replace(
        general,
        dataset=replace(general.dataset, dev=QuerySet({}, {})),
        candidates={"vector": general.test_candidates()["vector"]},
        candidates_key=f"{general.candidates_key} vector of test",
    )


def measure(
    config: Config,
    general: Shared,
    scorer: Scorer,
    model: Path,
    machine: Hardware,
    cache: StageCache,
    when: str,
) -> dict[str, float]:
    """``forgetting/{when}/ndcg_at_10`` and hit rate, in 0..1; ``when`` is before or after.

    ``scorer`` was loaded from ``model``; the points of a sweep that start from the same base find
    its scores in ``cache``. The cutoff is the largest of ``top_k``.
    """
    pair_scores, _ = scores.score(config, general, scorer, model, machine, cache)
    at_k = replace(config.eval, top_k=[max(config.eval.top_k)])
    qrels = general.dataset.test.qrels
    metrics = evaluate(general.candidates, qrels, at_k, pair_scores, None).metrics()
    return {
        f"forgetting/{when}/{name.removeprefix('vector_reranked/')}": value
        for name, value in metrics.items()
        if name.startswith(("vector_reranked/ndcg", "vector_reranked/hit_rate"))
    }
