"""The passages in LanceDB: a vector column, a full-text index, and the two searches.

A search fetches deeper than asked, sorts by (-score, id) and cuts here: LanceDB leaves ties in no
particular order, so its own top-k does not repeat.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from itertools import count, islice
from pathlib import Path

import lancedb
import numpy as np
import pyarrow as pa
from lancedb.index import FTS, HnswSq

from pipeline.config.stages import IndexConfig
from pipeline.infra.console import live_line
from pipeline.infra.manifest import damage, seal
from pipeline.records import Hit, sort_hits
from pipeline.retrieval.embedder import Embedder, Vectors

TABLE = "passages"
VECTORS = "vectors.npy"  # of one batch, shape (passages, dimension)
TIE_FACTOR = 2  # how many times deeper than asked LanceDB is searched
HNSW_EF = 300  # candidates kept during the walk of a graph
PARTITION = 50_000  # passages per graph, which bounds the time and memory of building one
PROBES = 100  # nearest graphs that are walked: all of them up to 5 million passages

Batch = list[tuple[str, str]]
"""(id, text) of some passages."""


def build_table(
    folder: Path,
    corpus: Mapping[str, str],
    embedder: Embedder,
    config: IndexConfig,
    embedded: Path,
) -> None:
    """Embed the passages batch by batch, write them to a table under ``folder`` and index it.

    The folder ``embedded`` holds the vectors of finished batches. An interrupted build resumes
    from them, because embedding a large corpus takes hours.

    Memory holds ``config.batch_size`` passages, whatever the size of the corpus. Above
    ``config.vector_index_above`` passages the vectors get the study's IVF_HNSW_SQ index, with one
    graph per ``PARTITION`` passages; up to that size search is exact.
    """
    with live_line("embed passages", "passage", total=len(corpus)) as bar:
        for number, batch in _batches(corpus, config.batch_size):
            _embed([text for _, text in batch], embedder, embedded / number)
            bar.update(len(batch))

    schema = pa.schema(
        [
            pa.field("id", pa.string()),
            pa.field("text", pa.string()),
            pa.field("vector", pa.list_(pa.float32(), embedder.dimension)),
        ]
    )
    rows = (
        _record_batch(batch, np.load(embedded / number / VECTORS), schema)
        for number, batch in _batches(corpus, config.batch_size)
    )
    table = lancedb.connect(folder).create_table(TABLE, data=rows, schema=schema)
    table.create_index("text", config=FTS())
    if len(corpus) > config.vector_index_above:
        graphs = HnswSq(distance_type="cosine", target_partition_size=PARTITION)
        table.create_index("vector", config=graphs)


def _batches(corpus: Mapping[str, str], size: int) -> Iterator[tuple[str, Batch]]:
    """Yield ``size`` passages at a time with the number of the batch, in the corpus's order."""
    passages = iter(corpus.items())
    for number in count():
        batch = list(islice(passages, size))
        if not batch:
            return
        yield f"{number:06}", batch


def _embed(texts: Sequence[str], embedder: Embedder, folder: Path) -> None:
    """Write the vectors to ``folder`` unless they are there, undamaged."""
    if damage(folder) is None:
        return
    vectors = embedder.encode_passages(texts)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    np.save(folder / VECTORS, vectors)
    seal(folder)


def _record_batch(batch: Batch, vectors: Vectors, schema: pa.Schema) -> pa.RecordBatch:
    ids, texts = zip(*batch, strict=True)
    flat = pa.array(vectors.reshape(-1), pa.float32())
    column = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    return pa.RecordBatch.from_arrays([pa.array(ids), pa.array(texts), column], schema=schema)


class PassageTable:
    """A built table, open for searching."""

    def __init__(self, folder: Path) -> None:
        self.table = lancedb.connect(folder).open_table(TABLE)
        self._rows: int = self.table.count_rows()
        self._exact = not any("vector" in index.columns for index in self.table.list_indices())

    def __len__(self) -> int:
        return self._rows

    def search_vector(self, vectors: Vectors, depth: int) -> list[list[Hit]]:
        """Find the ``depth`` nearest passages by cosine similarity (-1..1), one list per query.

        ``vectors`` has shape (queries, dimension).
        """
        query = self.table.search(vectors, vector_column_name="vector").distance_type("cosine")
        if not self._exact:
            query = query.nprobes(PROBES).ef(max(HNSW_EF, TIE_FACTOR * depth)).refine_factor(1)
        found = (
            query.select(["id", "_distance"]).limit(min(TIE_FACTOR * depth, self._rows)).to_arrow()
        )
        ids = found["id"].to_pylist()
        scores = (1.0 - found["_distance"].to_numpy()).tolist()
        # LanceDB leaves the column out for a single query.
        if "query_index" in found.column_names:
            query_numbers = found["query_index"].to_pylist()
        else:
            query_numbers = [0] * len(ids)
        hits: list[list[Hit]] = [[] for _ in range(len(vectors))]
        for number, doc_id, score in zip(query_numbers, ids, scores, strict=True):
            hits[number].append(Hit(doc_id, score))
        return [sort_hits(one)[:depth] for one in hits]

    def search_fts(self, text: str, depth: int) -> list[Hit]:
        """Find the ``depth`` best passages by BM25; terms are OR-ed and have no syntax.

        Fewer, or none, if the corpus has no term of ``text``.
        """
        found = (
            self.table.search(text, query_type="fts")
            .select(["id", "_score"])
            .limit(TIE_FACTOR * depth)
            .to_arrow()
        )
        pairs = zip(found["id"].to_pylist(), found["_score"].to_pylist(), strict=True)
        return sort_hits(Hit(doc_id, score) for doc_id, score in pairs)[:depth]
