"""From candidates and scores to rankings and metrics, before and after reranking.

A result at k reranks the first ``overfetch x k`` candidates, as a caller asking for k would;
all of it is cut from one list and read from one scoring pass.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.config.stages import EvalConfig, FusionConfig
from pipeline.evaluation.metrics import PerQuery, means, score
from pipeline.records import Hit, Qrels, Ranking, sort_hits
from pipeline.retrieval.fusion import WEIGHTS, fuse

FUSION_METRIC = "ndcg_at"


@dataclass(frozen=True)
class Evaluation:
    """Per-query metrics and the rankings they were computed from, by stage.

    Stages are ``vector``, ``vector_reranked``, ``vector_fused``, and without rankings
    ``vector_candidates``, everything that is reranked, and ``vector_ideal``, that with the best
    passages first; the same for ``fts`` and ``hybrid``. ``rankings`` is keyed by (stage, k).
    """

    per_query: dict[str, PerQuery]
    rankings: dict[tuple[str, int], Ranking]

    def metrics(self) -> dict[str, float]:
        """Means over all queries, named ``vector_reranked/ndcg_at_10``."""
        return {
            f"{stage}/{metric}": value
            for stage, per_query in self.per_query.items()
            for metric, value in means(per_query).items()
        }


def evaluate(
    candidates: Mapping[str, Ranking],
    qrels: Qrels,
    config: EvalConfig,
    scores: Mapping[str, Mapping[str, float]] | None,
    weights: Mapping[str, float],
) -> Evaluation:
    """Score every mode at every cutoff.

    ``scores`` is query id -> document id -> the reranker's score, None without a reranker;
    ``weights`` is mode -> fusion weight, from ``choose_weights``.
    """
    per_query: dict[str, PerQuery] = {}
    rankings: dict[tuple[str, int], Ranking] = {}

    def add(stage: str, k: int, ranking: Ranking) -> None:
        rankings[stage, k] = ranking
        per_query.setdefault(stage, {}).update(score(ranking, qrels, k))

    for mode, ranking in candidates.items():
        gains = {
            query_id: {
                hit.doc_id: float(qrels.get(query_id, {}).get(hit.doc_id, 0)) for hit in hits
            }
            for query_id, hits in ranking.items()
        }
        for k in config.top_k:
            depth = config.rerank_depth(k)
            first_stage = {query_id: hits[:depth] for query_id, hits in ranking.items()}
            add(mode, k, first_stage)
            found = score(first_stage, qrels, depth)
            kept = {m: v for m, v in found.items() if m.startswith(("recall", "hit_rate"))}
            per_query.setdefault(f"{mode}_candidates", {}).update(kept)
            ideal = score(_rerank(first_stage, gains), qrels, k)
            kept = {m: v for m, v in ideal.items() if m.startswith(("ndcg", "hit_rate"))}
            per_query.setdefault(f"{mode}_ideal", {}).update(kept)
            if scores is not None:
                reranked = _rerank(first_stage, scores)
                add(f"{mode}_reranked", k, reranked)
                fused = _fuse(first_stage, reranked, config.fusion, weights[mode])
                add(f"{mode}_fused", k, fused)
    return Evaluation(per_query, rankings)


def choose_weights(
    candidates: Mapping[str, Ranking],
    qrels: Qrels,
    config: EvalConfig,
    scores: Mapping[str, Mapping[str, float]],
) -> dict[str, float]:
    """Mode -> the weight of the reranker with the best NDCG on dev queries.

    ``candidates`` are all reranked and the largest cutoff is measured. Of equally good weights
    the smallest is taken, so that a reranker that brings nothing gets 0, which is the
    first-stage order.
    """
    k = max(config.top_k)
    chosen = {}
    for mode, ranking in candidates.items():
        first_stage = {query_id: ranking[query_id] for query_id in qrels}
        reranked = _rerank(first_stage, scores)
        quality = {}
        for weight in WEIGHTS:
            fused = _fuse(first_stage, reranked, config.fusion, weight)
            quality[weight] = means(score(fused, qrels, k))[f"{FUSION_METRIC}_{k}"]
        chosen[mode] = max(WEIGHTS, key=lambda weight: (round(quality[weight], 6), -weight))
    return chosen


def _rerank(ranking: Ranking, scores: Mapping[str, Mapping[str, float]]) -> Ranking:
    return {
        query_id: sort_hits(Hit(hit.doc_id, scores[query_id][hit.doc_id]) for hit in hits)
        for query_id, hits in ranking.items()
    }


def _fuse(first_stage: Ranking, reranked: Ranking, config: FusionConfig, weight: float) -> Ranking:
    return {
        query_id: fuse(config.method, hits, reranked[query_id], weight, config.rrf_k)
        for query_id, hits in first_stage.items()
    }
