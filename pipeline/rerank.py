"""One scoring pass: every (query, passage) pair that any mode retrieved, once."""

from collections.abc import Mapping
from statistics import median

from pipeline.records import Ranking
from pipeline.rerankers.base import Scorer

PairScores = dict[str, dict[str, float]]
"""Query id -> document id -> the reranker's score."""


def score_candidates(
    reranker: Scorer,
    queries: Mapping[str, str],
    corpus: Mapping[str, str],
    candidates: Mapping[str, Ranking],
) -> PairScores:
    """Scores of the deduplicated candidates of ``queries`` over all modes.

    Raises:
        RuntimeError: the model gave a score that is not finite; names the pair.
    """
    scores: PairScores = {query_id: {} for query_id in queries}
    unique = {
        (query_id, hit.doc_id): None
        for ranking in candidates.values()
        for query_id in queries
        for hit in ranking[query_id]
    }
    pairs = list(unique)
    texts = {doc_id: corpus[doc_id] for doc_id in {doc_id for _, doc_id in pairs}}
    values = reranker.score_pairs(queries, texts, pairs, progress=True)
    for (query_id, doc_id), value in zip(pairs, values.tolist(), strict=True):
        if value - value != 0:  # NaN and infinities
            raise RuntimeError(f"query {query_id}, document {doc_id}: the score is {value}")
        scores[query_id][doc_id] = value
    return scores


def collapsed(scores: PairScores, tolerance: float = 1e-4) -> bool:
    """Whether most queries get the same score for all their passages: the model ranks nothing."""
    spreads = [max(of.values()) - min(of.values()) for of in scores.values() if len(of) > 1]
    return bool(spreads) and median(spreads) < tolerance
