"""One scoring pass: every (query, passage) pair that any mode retrieved, once."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.protocols import Scorer
from pipeline.records import Ranking

FILE = "scores.parquet"

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


def write_scores(folder: Path, scores: PairScores) -> None:
    """One parquet file with a row per (query, document)."""
    rows = [(q, d, score) for q, of_query in scores.items() for d, score in of_query.items()]
    columns = list(zip(*rows, strict=True)) if rows else [(), (), ()]
    types = {"query_id": pa.string(), "doc_id": pa.string(), "score": pa.float64()}
    arrays = [pa.array(c, kind) for c, kind in zip(columns, types.values(), strict=True)]
    pq.write_table(pa.table(arrays, names=list(types)), folder / FILE)


def read_scores(folder: Path, queries: Iterable[str]) -> PairScores:
    """What ``write_scores`` wrote; a query without candidates has no scores."""
    scores: PairScores = {query_id: {} for query_id in queries}
    columns = pq.read_table(folder / FILE).to_pydict()
    for query_id, doc_id, score in zip(*columns.values(), strict=True):
        scores[query_id][doc_id] = score
    return scores


def collapsed(scores: PairScores, tolerance: float = 1e-4) -> bool:
    """Whether most queries get the same score for all their passages: the model ranks nothing."""
    spreads = [max(of.values()) - min(of.values()) for of in scores.values() if len(of) > 1]
    return bool(spreads) and median(spreads) < tolerance
