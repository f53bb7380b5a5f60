"""The passages in LanceDB: a vector column, a full-text index, and the two searches.

A search fetches deeper than asked, sorts and cuts here: LanceDB leaves ties in no particular order,
so its own top-k does not repeat. Equal scores are ordered by a hash of the passage's text.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any, NamedTuple

import lancedb
import numpy as np
import pyarrow as pa
from lancedb.index import FTS, HnswSq

from pipeline.config.index import FtsConfig, IndexConfig
from pipeline.infra.console import live_line
from pipeline.infra.manifest import damage, seal
from pipeline.records import Hit
from pipeline.retrieval.embedder import Embedder, Vectors
from pipeline.retrieval.searches import TIE_FACTOR, Searches
from pipeline.retrieval.stop_words import stop_words
from pipeline.retrieval.ties import tie_key

TABLE = "passages"
VECTORS = "vectors.npy"  # of one batch, shape (passages, dimension)
TIE = "tie"  # column that orders passages of equal scores
PARTITION = 50_000  # passages per graph, which bounds the time and memory of building one

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
            pa.field(TIE, pa.int64()),
            pa.field("vector", pa.list_(pa.float32(), embedder.dimension)),
        ]
    )
    rows = (
        _record_batch(batch, np.load(embedded / number / VECTORS), schema)
        for number, batch in _batches(corpus, config.batch_size)
    )
    table = lancedb.connect(folder).create_table(TABLE, data=rows, schema=schema)
    table.create_index("text", config=_analyser(config.fts))
    if len(corpus) > config.vector_index_above:
        graphs = HnswSq(distance_type="cosine", target_partition_size=PARTITION)
        table.create_index("vector", config=graphs)


def _analyser(config: FtsConfig) -> FTS:
    """Describe how passages and queries of full-text search become terms."""
    return FTS(
        base_tokenizer=config.tokenizer,
        language=config.language,
        stem=config.stem,
        remove_stop_words=config.remove_stop_words,
        custom_stop_words=stop_words(config.language, config.stop_words),
        ngram_min_length=config.ngram_min,
        ngram_max_length=config.ngram_max,
    )


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
    ties = pa.array(map(tie_key, texts), pa.int64())
    columns = [pa.array(ids), pa.array(texts), ties, column]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


class _Row(NamedTuple):
    """A passage that a search found; ``query`` is its number within a batch."""

    query: int
    doc_id: str
    score: float
    tie: int


class PassageTable:
    """A built table, open for searching."""

    def __init__(self, folder: Path) -> None:
        self.table = lancedb.connect(folder).open_table(TABLE)
        self._rows: int = self.table.count_rows()
        self._searches = Searches(self.table, columns=("id", TIE))

    def __len__(self) -> int:
        return self._rows

    def search_vector(
        self, vectors: Vectors, depth: int, leave_out: Sequence[str | None] = ()
    ) -> list[list[Hit]]:
        """Find the ``depth`` nearest passages by cosine similarity (-1..1), one list per query.

        ``vectors`` has shape (queries, dimension). ``leave_out`` has for every query the id of a
        passage that it must not find, or None; empty: every passage may be found.
        """
        found: list[list[_Row]] = [[] for _ in vectors]
        for row in _read(self._searches.vector(vectors, self._fetch(depth))):
            found[row.query].append(row)
        excluded = leave_out or [None] * len(found)
        return [
            self._best(rows, depth, without, partial(self._searches.vector, vector))
            for rows, without, vector in zip(found, excluded, vectors, strict=True)
        ]

    def search_fts(self, text: str, depth: int, leave_out: str | None = None) -> list[Hit]:
        """Find the ``depth`` best passages by BM25; terms are OR-ed and have no syntax.

        Fewer, or none, if the corpus has no term of ``text``. ``leave_out`` is the id of a passage
        that must not be found.
        """
        query = partial(self._searches.fts, text)
        return self._best(_read(query(self._fetch(depth))), depth, leave_out, query)

    def _fetch(self, depth: int) -> int:
        return min(TIE_FACTOR * depth, self._rows)

    def _best(
        self, rows: list[_Row], depth: int, leave_out: str | None, query: Callable[[int], Any]
    ) -> list[Hit]:
        """Order the rows of one query and cut them.

        ``query(fetch)`` builds the query again, deeper, if more passages tie at the cut than were
        fetched.
        """
        fetch = self._fetch(depth)
        rows = sorted(rows, key=_order)
        while len(rows) == fetch < self._rows and rows[depth].score == rows[-1].score:
            fetch = min(2 * fetch, self._rows)
            rows = sorted(_read(query(fetch)), key=_order)
        return [Hit(r.doc_id, r.score) for r in rows if r.doc_id != leave_out][:depth]


def _order(row: _Row) -> tuple[float, int, str]:
    """Sort key: best first, then by content; passages of the same text by their id."""
    return -row.score, row.tie, row.doc_id


def _read(query: Any) -> list[_Row]:
    """Run a query of ``Searches``."""
    found = query.to_arrow()
    ids = found["id"].to_pylist()
    if "_distance" in found.column_names:
        scores = [1.0 - distance for distance in found["_distance"].to_pylist()]
    else:
        scores = found["_score"].to_pylist()
    # LanceDB leaves the column out for a single query.
    several = "query_index" in found.column_names
    queries = found["query_index"].to_pylist() if several else [0] * len(ids)
    return list(map(_Row, queries, ids, scores, found[TIE].to_pylist()))
