"""Retrieve the candidates of each query by vector search, full-text search and both fused.

They are retrieved once per data set and embedder, so every run reranks the same lists.
"""

from collections.abc import Mapping, Sequence
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
        pa.field("search", pa.string()),
        pa.field("query_id", pa.string()),
        pa.field("doc_id", pa.string()),
        pa.field("score", pa.float64()),
    ]
)


def retrieve(
    queries: Mapping[str, str],
    table: PassageTable,
    embedder: Embedder,
    depth: int,
    search_depth: int,
    rrf_k: int,
    own: Mapping[str, str],
) -> dict[str, Ranking]:
    """Return search -> ranking, ``depth`` deep (full text: as deep as terms match).

    Both searches find ``search_depth`` passages, at least ``depth``. Hybrid is their reciprocal
    rank fusion. All lists are cut afterwards, so that they don't depend on ``depth``. ``own`` maps
    a query id to the id of the passage that is the query itself, which is left out.

    Raises:
        RuntimeError: a query failed; the message names its id. A failed query is never counted as
            a query without hits.
    """
    rankings: dict[str, Ranking] = {search: {} for search in SEARCHES}
    ids = list(queries)
    batches = [ids[start : start + BATCH] for start in range(0, len(ids), BATCH)]
    for batch in live_line("retrieve candidates", "batch", batches):
        vectors = embedder.encode_queries([queries[query_id] for query_id in batch])
        excluded = [own.get(query_id) for query_id in batch]
        nearest = table.search_vector(vectors, search_depth, excluded)
        for query_id, by_vector in zip(batch, nearest, strict=True):
            try:
                by_text = table.search_fts(queries[query_id], search_depth, own.get(query_id))
            except Exception as error:
                raise RuntimeError(f"query {query_id}: full-text search failed: {error}") from error
            sides = [by_vector, by_text]
            lists: Sequence[list[Hit]] = [*sides, reciprocal_rank_fusion(sides, rrf_k)]
            for search, hits in zip(SEARCHES, lists, strict=True):
                rankings[search][query_id] = hits[:depth]
    return rankings


def nothing_found(ranking: Ranking) -> int:
    """Count the queries without any hit."""
    return sum(not hits for hits in ranking.values())


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
