"""Score every (query, passage) pair that any search retrieved, once; write and read the scores."""

from collections.abc import Iterable, Mapping
from math import isfinite
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.protocols import Scorer
from pipeline.records import PairScores, Ranking

FILE = "scores.parquet"
SAME = 1e-5  # difference of two scores that are the same
SCHEMA = pa.schema(
    [
        pa.field("query_id", pa.string()),
        pa.field("doc_id", pa.string()),
        pa.field("score", pa.float64()),
    ]
)


def score_candidates(
    reranker: Scorer,
    queries: Mapping[str, str],
    corpus: Mapping[str, str],
    candidates: Mapping[str, Ranking],
) -> PairScores:
    """Score the candidates of ``queries`` from all searches, each pair once.

    Raises:
        RuntimeError: a score is not finite; names the pair.
    """
    scores: dict[str, dict[str, float]] = {query_id: {} for query_id in queries}
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
        if not isfinite(value):
            raise RuntimeError(f"query {query_id}, document {doc_id}: the score is {value}")
        scores[query_id][doc_id] = value
    return scores


def write_scores(folder: Path, scores: PairScores) -> None:
    """Write one parquet file with a row per (query, document)."""
    rows = [(q, d, score) for q, of_query in scores.items() for d, score in of_query.items()]
    columns = [[row[place] for row in rows] for place in range(len(SCHEMA))]
    pq.write_table(pa.table(columns, schema=SCHEMA), folder / FILE)


def read_scores(folder: Path, queries: Iterable[str]) -> PairScores:
    """Read what ``write_scores`` wrote; a query without candidates has no scores."""
    scores: dict[str, dict[str, float]] = {query_id: {} for query_id in queries}
    columns = pq.read_table(folder / FILE).to_pydict()
    for query_id, doc_id, score in zip(*columns.values(), strict=True):
        scores[query_id][doc_id] = score
    return scores


def collapsed(scores: Mapping[str, Mapping[str, float]]) -> bool:
    """Whether the model ranks nothing: for most queries nearly all passages share the best score.

    Nearly all are 90% of a query's passages, at most ``SAME`` below its best score.
    """
    several = [list(of_query.values()) for of_query in scores.values() if len(of_query) > 1]
    undecided = [
        values
        for values in several
        if sum(value >= max(values) - SAME for value in values) >= 0.9 * len(values)
    ]
    return 2 * len(undecided) > len(several)
