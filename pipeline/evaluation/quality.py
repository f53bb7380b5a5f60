"""From candidates and scores to rankings and metrics, before and after reranking.

A result at k reranks the first ``overfetch x k`` candidates, as a caller who wants k would. All
results are cut from one list and read from one scoring pass.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from pipeline.config.stages import EvalConfig, FusionConfig
from pipeline.evaluation.fusion_choice import smoothed_choice
from pipeline.evaluation.metrics import PerQuery, means, measure
from pipeline.records import Hit, PairScores, Qrels, Ranking, sort_hits
from pipeline.retrieval.fusion import FUSION_WEIGHTS, fuse

FusionWeights = Mapping[str, Mapping[int, float]]
"""Search -> cutoff -> fusion weight; empty for fusion by ranks, which has none."""


@dataclass(frozen=True)
class Evaluation:
    """Per-query metrics and the rankings that they were computed from, by column.

    A search has the columns ``vector``, ``vector_reranked`` and ``vector_fused``. The columns
    ``vector_candidates`` (what is reranked) and ``vector_ideal`` (the same, best passages first)
    have metrics only. ``rankings`` is keyed by (column, k).
    """

    per_query: dict[str, PerQuery] = field(default_factory=dict)
    rankings: dict[tuple[str, int], Ranking] = field(default_factory=dict)

    def metrics(self) -> dict[str, float]:
        """Means over all queries, named ``vector_reranked/ndcg_at_10``."""
        return {
            f"{column}/{metric}": value
            for column, per_query in self.per_query.items()
            for metric, value in means(per_query).items()
        }

    def add(self, column: str, k: int, ranking: Ranking, qrels: Qrels) -> None:
        """Measure ``ranking`` at ``k`` and keep both."""
        self.rankings[column, k] = ranking
        self.add_values(column, measure(ranking, qrels, k))

    def add_values(self, column: str, per_query: PerQuery) -> None:
        """Keep metrics of a column beside those that it has."""
        self.per_query.setdefault(column, {}).update(per_query)


def evaluate(
    candidates: Mapping[str, Ranking],
    qrels: Qrels,
    config: EvalConfig,
    scores: PairScores | None,
    fusion_weights: FusionWeights | None,
) -> Evaluation:
    """Measure every search at every cutoff.

    ``scores`` are the reranker's, None without a reranker. ``fusion_weights`` are those of
    ``choose_fusion_weights``; if they are None, nothing is fused.
    """
    evaluation = Evaluation()
    for search, ranking in candidates.items():
        gains = _gains(ranking, qrels)
        for k in config.top_k:
            depth = config.rerank_depth(k)
            retrieved = {query_id: hits[:depth] for query_id, hits in ranking.items()}
            evaluation.add(search, k, retrieved, qrels)
            found = measure(retrieved, qrels, depth, ("recall", "hit_rate"))
            evaluation.add_values(f"{search}_candidates", found)
            ideal = measure(_rerank(retrieved, gains), qrels, k, ("ndcg", "hit_rate"))
            evaluation.add_values(f"{search}_ideal", ideal)
            if scores is not None:
                reranked = _rerank(retrieved, scores)
                evaluation.add(f"{search}_reranked", k, reranked, qrels)
                if fusion_weights is not None:
                    weight = fusion_weights[search][k] if fusion_weights else None
                    fused = _fuse(retrieved, reranked, config.fusion, weight)
                    evaluation.add(f"{search}_fused", k, fused, qrels)
    return evaluation


def choose_fusion_weights(
    candidates: Mapping[str, Ranking], qrels: Qrels, config: EvalConfig, scores: PairScores
) -> FusionWeights:
    """Choose a weight for every search and cutoff on the dev queries, by NDCG.

    Each is chosen at the depth and cutoff that it is used at. None are needed if
    ``config.fusion`` goes by ranks.
    """
    if config.fusion.method == "rrf":
        return {}
    return {
        search: {k: _choose(ranking, qrels, config, scores, k) for k in config.top_k}
        for search, ranking in candidates.items()
    }


def _choose(
    ranking: Ranking, qrels: Qrels, config: EvalConfig, scores: PairScores, k: int
) -> float:
    depth, metric = config.rerank_depth(k), f"ndcg_at_{k}"
    retrieved = {query_id: ranking[query_id][:depth] for query_id in qrels}
    reranked = _rerank(retrieved, scores)
    values = [
        [fused[query_id] for query_id in qrels]
        for fused in (
            measure(_fuse(retrieved, reranked, config.fusion, weight), qrels, k, ("ndcg",))[metric]
            for weight in FUSION_WEIGHTS
        )
    ]
    return smoothed_choice(np.array(values))


def _gains(ranking: Ranking, qrels: Qrels) -> PairScores:
    """Score every candidate by its judged gain, which puts them in ideal order."""
    return {
        query_id: {hit.doc_id: float(qrels.get(query_id, {}).get(hit.doc_id, 0)) for hit in hits}
        for query_id, hits in ranking.items()
    }


def _rerank(ranking: Ranking, scores: PairScores) -> Ranking:
    return {
        query_id: sort_hits(Hit(hit.doc_id, scores[query_id][hit.doc_id]) for hit in hits)
        for query_id, hits in ranking.items()
    }


def _fuse(
    retrieved: Ranking, reranked: Ranking, config: FusionConfig, fusion_weight: float | None
) -> Ranking:
    return {
        query_id: fuse(config.method, hits, reranked[query_id], fusion_weight, config.rrf_k)
        for query_id, hits in retrieved.items()
    }
