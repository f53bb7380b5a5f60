"""The passages in LanceDB: a vector column, a full-text index, and the three searches.

Search results are sorted by (-score, id) and cut here, from a list fetched deeper than asked
for: LanceDB leaves ties in no particular order, so its own top-k is not repeatable.
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
TIE_FACTOR = 2  # how much deeper than asked for LanceDB is searched
HNSW_EF = 300  # candidates kept while a graph is walked
PARTITION = 50_000  # passages a graph: what one takes to build, in time and memory, is bounded
PROBES = 100  # graphs walked, the nearest: all of them up to 5 million passages


def build_table(
    folder: Path,
    corpus: Mapping[str, str],
    embedder: Embedder,
    config: IndexConfig,
    embedded: Path,
) -> None:
    """Embed the passages batch by batch, write them to a table under ``folder`` and index it.

    The folder ``embedded`` holds the vectors until then; who builds the same table after an
    interruption finds those of finished batches there, as embedding a large corpus takes hours.

    Memory holds ``config.batch_size`` passages, whatever the corpus holds. Above
    ``config.vector_index_above`` passages the vectors get the study's IVF_HNSW_SQ index, of one
    graph for every ``PARTITION`` passages; below it search is exact.
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

    def rows() -> Iterator[pa.RecordBatch]:
        for number, batch in _batches(corpus, config.batch_size):
            ids, texts = zip(*batch, strict=True)
            flat = pa.array(np.load(embedded / number / VECTORS).reshape(-1), pa.float32())
            column = pa.FixedSizeListArray.from_arrays(flat, embedder.dimension)
            yield pa.RecordBatch.from_arrays(
                [pa.array(ids), pa.array(texts), column], schema=schema
            )

    table = lancedb.connect(folder).create_table(TABLE, data=rows(), schema=schema)
    table.create_index("text", config=FTS())
    if len(corpus) > config.vector_index_above:
        graphs = HnswSq(distance_type="cosine", target_partition_size=PARTITION)
        table.create_index("vector", config=graphs)


def _batches(corpus: Mapping[str, str], size: int) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Number and (id, text) of ``size`` passages at a time, in the order of the corpus."""
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


class PassageTable:
    """A built table, open for searching."""

    def __init__(self, folder: Path) -> None:
        self.table = lancedb.connect(folder).open_table(TABLE)
        self._rows: int = self.table.count_rows()
        self._exact = not any("vector" in index.columns for index in self.table.list_indices())

    def __len__(self) -> int:
        return self._rows

    def search_vector(self, vectors: Vectors, depth: int) -> list[list[Hit]]:
        """The ``depth`` nearest passages by cosine similarity (-1..1), one list a query.

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
        # a batch of one query comes back without the column
        which = (
            found["query_index"].to_numpy()
            if "query_index" in found.column_names
            else np.zeros(len(ids), dtype=np.int64)
        )
        hits: list[list[Hit]] = [[] for _ in range(len(vectors))]
        for index, doc_id, score in zip(which.tolist(), ids, scores, strict=True):
            hits[index].append(Hit(doc_id, score))
        return [sort_hits(one)[:depth] for one in hits]

    def search_fts(self, text: str, depth: int) -> list[Hit]:
        """The ``depth`` best passages by BM25; terms are OR-ed and have no syntax.

        Fewer, or none, where no term of ``text`` occurs in the corpus.
        """
        found = (
            self.table.search(text, query_type="fts")
            .select(["id", "_score"])
            .limit(TIE_FACTOR * depth)
            .to_arrow()
        )
        pairs = zip(found["id"].to_pylist(), found["_score"].to_pylist(), strict=True)
        return sort_hits(Hit(doc_id, score) for doc_id, score in pairs)[:depth]
