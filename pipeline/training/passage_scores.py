"""Score training passages with another reranker."""

from collections.abc import Iterable, Mapping
from math import isfinite

from pipeline.protocols import Scorer
from pipeline.records import Dataset


def score_passages(
    scorer: Scorer, dataset: Dataset, passages: Mapping[str, Iterable[str]]
) -> dict[str, dict[str, float]]:
    """Score each passage once for its training query: query id -> passage id -> score.

    Raises:
        RuntimeError: a score is not finite; names the pair.
    """
    pairs = list(dict.fromkeys((query, doc) for query, docs in passages.items() for doc in docs))
    texts = {doc_id: dataset.train_corpus[doc_id] for doc_id in {doc_id for _, doc_id in pairs}}
    scores: dict[str, dict[str, float]] = {query_id: {} for query_id in passages}
    values = scorer.score_pairs(dataset.train.queries, texts, pairs)
    for (query_id, doc_id), value in zip(pairs, values.tolist(), strict=True):
        if not isfinite(value):
            raise RuntimeError(f"query {query_id}, document {doc_id}: the score is {value}")
        scores[query_id][doc_id] = value
    return scores
