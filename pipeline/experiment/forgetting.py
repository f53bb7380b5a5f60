"""Check whether fine-tuning on one domain costs quality on another, general data set."""

from dataclasses import replace

from pipeline.config import KEYS, Config
from pipeline.config.datasets import DatasetConfig
from pipeline.config.nested import named_in
from pipeline.config.stages import EvalConfig
from pipeline.evaluation.quality import evaluate
from pipeline.experiment.shared import Shared, prepare_shared
from pipeline.infra.hardware import Hardware
from pipeline.infra.stage_cache import StageCache
from pipeline.protocols import Scorer
from pipeline.rerankers.scores import score_candidates


def prepare_general(
    config: Config, dataset: DatasetConfig, machine: Hardware, cache: StageCache
) -> Shared:
    """The general data set with its candidates; nothing is trained on it.

    Raises:
        InputError: the data set is missing, broken or too small.
    """
    with named_in("forgetting.dataset", KEYS):
        return prepare_shared(replace(config, dataset=dataset, epochs=0), machine, cache)


def measure(general: Shared, config: EvalConfig, reranker: Scorer, when: str) -> dict[str, float]:
    """``forgetting/{when}/ndcg_at_10`` and hit rate, in 0..1; ``when`` is before or after.

    The test queries are searched by vector and reranked; the cutoff is the largest of ``top_k``.
    """
    test = general.dataset.test
    candidates = {"vector": general.test_candidates()["vector"]}
    scores = score_candidates(reranker, test.queries, general.dataset.corpus, candidates)
    at_k = replace(config, top_k=[max(config.top_k)])
    metrics = evaluate(candidates, test.qrels, at_k, scores, None).metrics()
    return {
        f"forgetting/{when}/{name.removeprefix('vector_reranked/')}": value
        for name, value in metrics.items()
        if name.startswith(("vector_reranked/ndcg", "vector_reranked/hit_rate"))
    }
