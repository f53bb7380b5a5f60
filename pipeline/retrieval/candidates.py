"""Candidates for a set of queries: by vector, by full text, and by both fused.

Retrieved once per data set and embedder, so that every run reranks the same lists.
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


def retrieve(
    queries: Mapping[str, str], table: PassageTable, embedder: Embedder, depth: int, rrf_k: int
) -> dict[str, Ranking]:
    """Mode -> ranking, each ``depth`` deep (full text: as deep as terms match).

    Hybrid is the reciprocal rank fusion of the other two lists, cut to ``depth``.

    Raises:
        RuntimeError: a query failed; the message names its id. No query becomes a miss.
    """
    rankings: dict[str, Ranking] = {mode: {} for mode in SEARCHES}
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
            fused = reciprocal_rank_fusion([by_vector, by_text], rrf_k)[:depth]
            rankings["vector"][query_id] = by_vector
            rankings["fts"][query_id] = by_text
            rankings["hybrid"][query_id] = fused
    return rankings


def write_candidates(folder: Path, rankings: Mapping[str, Ranking]) -> None:
    """One parquet file with a row per (mode, query, hit), in rank order."""
    rows = [
        (mode, query_id, hit.doc_id, hit.score)
        for mode, ranking in rankings.items()
        for query_id, hits in ranking.items()
        for hit in hits
    ]
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), ()]
    names = ["mode", "query_id", "doc_id", "score"]
    types = [pa.string(), pa.string(), pa.string(), pa.float64()]
    arrays = [pa.array(column, kind) for column, kind in zip(columns, types, strict=True)]
    pq.write_table(pa.table(arrays, names=names), folder / FILE)


def read_candidates(folder: Path, queries: Mapping[str, str]) -> dict[str, Ranking]:
    """What ``write_candidates`` wrote; a query without hits has an empty list."""
    rankings: dict[str, Ranking] = {mode: {q: [] for q in queries} for mode in SEARCHES}
    columns = pq.read_table(folder / FILE).to_pydict()
    for mode, query_id, doc_id, score in zip(*columns.values(), strict=True):
        rankings[mode][query_id].append(Hit(doc_id, score))
    return rankings
