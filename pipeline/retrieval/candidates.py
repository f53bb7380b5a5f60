"""Retrieve the candidates of each query by vector search, full-text search and both fused.

They are retrieved once per data set and embedder, so every run reranks the same lists.
"""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.infra.console import live_line
from pipeline.records import SEARCHES, Hit, Ranking
from pipeline.retrieval.embedder import Embedder
from pipeline.retrieval.fusion import reciprocal_rank_fusion
from pipeline.retrieval.index import PassageTable

BATCH = 256  # queries embedded and searched at a time
FILE = "candidates.parquet"
SCHEMA = pa.schema(
    [
        pa.field("mode", pa.string()),  # the search
        pa.field("query_id", pa.string()),
        pa.field("doc_id", pa.string()),
        pa.field("score", pa.float64()),
    ]
)


def retrieve(
    queries: Mapping[str, str], table: PassageTable, embedder: Embedder, depth: int, rrf_k: int
) -> dict[str, Ranking]:
    """Return search -> ranking, ``depth`` deep (full text: as deep as terms match).

    Hybrid is the reciprocal rank fusion of the other two lists, cut to ``depth``.

    Raises:
        RuntimeError: a query failed; the message names its id. A failed query is never counted as
            a query without hits.
    """
    rankings: dict[str, Ranking] = {search: {} for search in SEARCHES}
    ids = list(queries)
    batches = [ids[start : start + BATCH] for start in range(0, len(ids), BATCH)]
    for batch in live_line("retrieve candidates", "batch", batches):
        vectors = embedder.encode_queries([queries[query_id] for query_id in batch])
        nearest = table.search_vector(vectors, depth)
        for query_id, by_vector in zip(batch, nearest, strict=True):
            try:
                by_text = table.search_fts(queries[query_id], depth)
            except Exception as error:
                raise RuntimeError(f"query {query_id}: full-text search failed: {error}") from error
            rankings["vector"][query_id] = by_vector
            rankings["fts"][query_id] = by_text
            fused = reciprocal_rank_fusion([by_vector, by_text], rrf_k)
            rankings["hybrid"][query_id] = fused[:depth]
    return rankings


def write_candidates(folder: Path, rankings: Mapping[str, Ranking]) -> None:
    """Write one parquet file with a row per (search, query, hit), in rank order."""
    rows = [
        (search, query_id, hit.doc_id, hit.score)
        for search, ranking in rankings.items()
        for query_id, hits in ranking.items()
        for hit in hits
    ]
    columns = [[row[place] for row in rows] for place in range(len(SCHEMA))]
    pq.write_table(pa.table(columns, schema=SCHEMA), folder / FILE)


def read_candidates(folder: Path, queries: Mapping[str, str]) -> dict[str, Ranking]:
    """Read what ``write_candidates`` wrote; a query without hits has an empty list."""
    rankings: dict[str, Ranking] = {search: {q: [] for q in queries} for search in SEARCHES}
    columns = pq.read_table(folder / FILE).to_pydict()
    for search, query_id, doc_id, score in zip(*columns.values(), strict=True):
        rankings[search][query_id].append(Hit(doc_id, score))
    return rankings
