"""Hard negatives: passages that an independent embedder ranks high but that are not relevant.

They are mined once per data set and miner, to the largest depth needed. A run with ``negatives=n``
takes the first n, so a run with more negatives sees a superset. Queries are searched in chunks, so
memory does not grow with the training set.
"""

import hashlib
import logging
import random
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import groupby, islice
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from pipeline.config.stages import MiningConfig
from pipeline.infra.console import live_line
from pipeline.records import Dataset, Hit, TrainingExample, TrainingRow
from pipeline.retrieval.embedder import Embedder
from pipeline.retrieval.index import PassageTable

log = logging.getLogger(__name__)

FILE = "negatives.parquet"
SCHEMA = pa.schema(
    [
        pa.field("query_id", pa.string()),
        pa.field("positive_id", pa.string()),
        pa.field("negative_ids", pa.list_(pa.string())),
    ]
)


def mine_negatives(
    folder: Path,
    dataset: Dataset,
    table: PassageTable,
    embedder: Embedder,
    config: MiningConfig,
    seed: int,
) -> None:
    """Write one row per (training query, relevant passage) with ``config.depth`` negatives.

    Passages that were judged irrelevant to the query come first, mined passages fill up. ``table``
    holds ``dataset.train_corpus``, embedded by ``embedder``. Never a negative: the query's own
    relevant passages, any passage with the same text, and the passages relevant to a dev or test
    query. A query with fewer than ``config.depth`` negatives is dropped, for every run alike, and
    counted in the log.
    """
    held_out = _relevant_to_dev_or_test(dataset)
    dropped = 0
    query_ids = iter(dataset.train.queries)
    with (
        pq.ParquetWriter(folder / FILE, SCHEMA) as writer,
        live_line("mine negatives", "query", total=len(dataset.train)) as bar,
    ):
        while chunk := list(islice(query_ids, config.chunk_size)):
            rows: list[TrainingRow] = []
            vectors = embedder.encode_queries([dataset.train.queries[q] for q in chunk])
            ranked = table.search_vector(vectors, config.last_rank)
            for query_id, hits in zip(chunk, ranked, strict=True):
                negatives = _negatives(query_id, hits, dataset, held_out, config, seed)
                if len(negatives) < config.depth:
                    dropped += 1
                    continue
                relevant = dataset.train.qrels[query_id]
                rows += [TrainingRow(query_id, positive, negatives) for positive in relevant]
            rows.sort()
            writer.write_table(pa.Table.from_pylist([r._asdict() for r in rows], schema=SCHEMA))
            bar.update(len(chunk))
    if dropped:
        log.warning(
            "mining: %d of %d training queries dropped, fewer than mining.depth=%d negatives "
            "between ranks %d and %d",
            dropped,
            len(dataset.train),
            config.depth,
            config.first_rank,
            config.last_rank,
        )


def _relevant_to_dev_or_test(dataset: Dataset) -> set[str]:
    return {
        doc_id
        for split in (dataset.dev, dataset.test)
        for judged in split.qrels.values()
        for doc_id in judged
    }


def _negatives(
    query_id: str,
    hits: Sequence[Hit],
    dataset: Dataset,
    held_out: AbstractSet[str],
    config: MiningConfig,
    seed: int,
) -> tuple[str, ...]:
    """Choose up to ``config.depth`` negatives of one query, whose ranked passages are ``hits``."""
    rng = random.Random(hashlib.sha256(f"{seed}:{query_id}".encode()).digest())
    relevant = set(dataset.train.qrels[query_id])
    judged = dataset.train.irrelevant.get(query_id, [])
    known = [doc_id for doc_id in judged if doc_id not in relevant | held_out]
    rng.shuffle(known)
    corpus = dataset.train_corpus
    positive_texts = {corpus[doc_id] for doc_id in relevant}
    taken = relevant | held_out | set(known)
    window = [
        hit
        for hit in _window(hits, relevant, config)
        if hit.doc_id not in taken and corpus[hit.doc_id] not in positive_texts
    ]
    if config.sampling == "random":
        rng.shuffle(window)
    return (*known, *(hit.doc_id for hit in window))[: config.depth]


def _window(hits: Sequence[Hit], relevant: AbstractSet[str], config: MiningConfig) -> Sequence[Hit]:
    """Cut the ranked passages to the ranks and the similarity that negatives may have."""
    window = hits[config.first_rank : config.last_rank]
    if config.margin is None:
        return window
    # A relevant passage that was not found is less similar than all that were.
    found = [hit.score for hit in hits if hit.doc_id in relevant]
    ceiling = (max(found) if found else hits[-1].score) - config.margin
    return [hit for hit in window if hit.score <= ceiling]


class TrainingSet:
    """The mined rows on disk, with as many negatives as a run takes."""

    def __init__(self, folder: Path, dataset: Dataset, negatives: int) -> None:
        """Open the rows in ``folder``; ``negatives`` is at most the depth that was mined."""
        self._file = folder / FILE
        self._dataset = dataset
        self.negatives = negatives

    def __len__(self) -> int:
        return int(pq.read_metadata(self._file).num_rows)

    def __iter__(self) -> Iterator[TrainingRow]:
        for batch in pads.dataset(self._file).to_batches():
            columns = batch.to_pydict()
            for query_id, positive_id, ids in zip(*columns.values(), strict=True):
                yield TrainingRow(query_id, positive_id, tuple(ids[: self.negatives]))

    @property
    def queries(self) -> int:
        """How many queries the rows belong to."""
        return sum(1 for _ in groupby(self, key=lambda row: row.query_id))

    def examples(self) -> Iterator[TrainingExample]:
        """Yield every row as texts, the rows of a query together."""
        train, corpus = self._dataset.train, self._dataset.train_corpus
        largest = max((gain for docs in train.qrels.values() for gain in docs.values()), default=1)
        for row in self:
            yield TrainingExample(
                train.queries[row.query_id],
                corpus[row.positive_id],
                train.qrels[row.query_id][row.positive_id] / largest,
                [corpus[doc_id] for doc_id in row.negative_ids],
            )
