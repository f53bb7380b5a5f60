"""Score a reranker on the dev queries, to compare its checkpoints."""

from collections.abc import Mapping
from dataclasses import replace

from pipeline.config import Config
from pipeline.evaluation.quality import evaluate
from pipeline.experiment.shared import Shared
from pipeline.protocols import Reranker
from pipeline.rerankers.scores import score_candidates
from pipeline.rerankers.windows import windowed


def name_by_cutoff(metrics: Mapping[str, float], k: int) -> dict[str, float]:
    """Name the dev score, ``train/dev_score``, by what it is: ``train/dev_ndcg_at_{k}``."""
    names = {"train/dev_score": f"train/dev_ndcg_at_{k}"}
    return {names.get(name, name): value for name, value in metrics.items()}


def dev_score(config: Config, shared: Shared, reranker: Reranker) -> float:
    """NDCG of the dev queries at the largest cutoff, over hybrid candidates."""
    dev, k = shared.dataset.dev, max(config.eval.top_k)
    depth = config.eval.dev_depth
    hybrid = {"hybrid": shared.dev_candidates(depth)["hybrid"]}
    scorer = windowed(reranker, config.rerank)
    scores = score_candidates(scorer, dev.queries, shared.dataset.corpus, hybrid)
    at_k = replace(config.eval, top_k=[k], depth=max(depth, k))
    result = evaluate(hybrid, dev.qrels, at_k, scores, None)
    return result.metrics()[f"hybrid_reranked/ndcg_at_{k}"]
