"""From candidates and scores to rankings and metrics, before and after reranking.

A result at k reranks the first ``overfetch x k`` candidates, as a caller who wants k would. All
results are cut from one list and read from one scoring pass.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.config.stages import EvalConfig, FusionConfig
from pipeline.evaluation.metrics import PerQuery, means, measure
from pipeline.records import Hit, Qrels, Ranking, sort_hits
from pipeline.retrieval.fusion import FUSION_WEIGHTS, fuse

PairScores = Mapping[str, Mapping[str, float]]
"""Query id -> document id -> score."""


@dataclass(frozen=True)
class Evaluation:
    """Per-query metrics and the rankings that they were computed from, by column.

    The columns of a search are ``vector``, ``vector_reranked``, ``vector_fused``, and without
    rankings ``vector_candidates``, everything that is reranked, and ``vector_ideal``, the same with
    the best passages first. ``rankings`` is keyed by (column, k).
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

    def add_values(self, column: str, per_query: PerQuery, *kinds: str) -> None:
        """Keep the metrics whose names begin with one of ``kinds``; all of them without kinds."""
        kept = {name: v for name, v in per_query.items() if not kinds or name.startswith(kinds)}
        self.per_query.setdefault(column, {}).update(kept)


def evaluate(
    candidates: Mapping[str, Ranking],
    qrels: Qrels,
    config: EvalConfig,
    scores: PairScores | None,
    fusion_weights: Mapping[str, float],
) -> Evaluation:
    """Measure every search at every cutoff.

    ``scores`` are the reranker's, None without a reranker; ``fusion_weights`` is search -> fusion
    weight, from ``choose_fusion_weights``.
    """
    evaluation = Evaluation()
    for search, ranking in candidates.items():
        gains = _gains(ranking, qrels)
        for k in config.top_k:
            depth = config.rerank_depth(k)
            retrieved = {query_id: hits[:depth] for query_id, hits in ranking.items()}
            evaluation.add(search, k, retrieved, qrels)
            found = measure(retrieved, qrels, depth)
            evaluation.add_values(f"{search}_candidates", found, "recall", "hit_rate")
            ideal = measure(_rerank(retrieved, gains), qrels, k)
            evaluation.add_values(f"{search}_ideal", ideal, "ndcg", "hit_rate")
            if scores is not None:
                reranked = _rerank(retrieved, scores)
                fused = _fuse(retrieved, reranked, config.fusion, fusion_weights[search])
                evaluation.add(f"{search}_reranked", k, reranked, qrels)
                evaluation.add(f"{search}_fused", k, fused, qrels)
    return evaluation


def choose_fusion_weights(
    candidates: Mapping[str, Ranking], qrels: Qrels, config: EvalConfig, scores: PairScores
) -> dict[str, float]:
    """Return search -> the fusion weight with the best NDCG on the dev queries.

    All ``candidates`` are reranked and the largest cutoff is measured. Of equally good weights the
    smallest is taken, so that a reranker that brings nothing gets 0, the order of the search.
    """
    chosen = {}
    for search, ranking in candidates.items():
        retrieved = {query_id: ranking[query_id] for query_id in qrels}
        reranked = _rerank(retrieved, scores)
        ndcg = {
            weight: _mean_ndcg(_fuse(retrieved, reranked, config.fusion, weight), qrels, config)
            for weight in FUSION_WEIGHTS  # ascending, and max takes the first of equals
        }
        chosen[search] = max(ndcg, key=ndcg.__getitem__)
    return chosen


def _mean_ndcg(ranking: Ranking, qrels: Qrels, config: EvalConfig) -> float:
    """NDCG at the largest cutoff, rounded so that equally good rankings tie."""
    k = max(config.top_k)
    return round(means(measure(ranking, qrels, k))[f"ndcg_at_{k}"], 6)


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
    retrieved: Ranking, reranked: Ranking, config: FusionConfig, fusion_weight: float
) -> Ranking:
    return {
        query_id: fuse(config.method, hits, reranked[query_id], fusion_weight, config.rrf_k)
        for query_id, hits in retrieved.items()
    }
