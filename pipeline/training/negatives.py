"""Hard negatives: passages that an independent embedder ranks high and nobody judged relevant.

Mined once per data set and miner to the largest depth needed; a run with ``negatives=n``
takes the first n, so that runs with more negatives see a superset. Searched in chunks of
queries, so memory does not grow with the training set.
"""

import hashlib
import logging
import random
from collections.abc import Iterator, Mapping
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

    What somebody judged irrelevant to the query comes first, mined passages fill up. ``table``
    holds ``dataset.train_corpus``, embedded by ``embedder``. Never a negative: the query's own
    relevant passages, any passage with the same text, and what is relevant to a dev or test
    query. A query with fewer than ``config.depth`` negatives left in its window is
    dropped, for every run alike, and counted in the log.
    """
    held_out = {
        doc_id
        for split in (dataset.dev, dataset.test)
        for judged in split.qrels.values()
        for doc_id in judged
    }
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
                relevant = set(dataset.train.qrels[query_id])
                rng = random.Random(hashlib.sha256(f"{seed}:{query_id}".encode()).digest())
                judged = dataset.train.irrelevant.get(query_id, [])
                known = [doc_id for doc_id in judged if doc_id not in relevant | held_out]
                rng.shuffle(known)
                taken = relevant | held_out | set(known)
                mined = _choose(hits, relevant, taken, dataset.train_corpus, config, rng)
                negatives = (*known, *mined)[: config.depth]
                if len(negatives) < config.depth:
                    dropped += 1
                    continue
                rows += [TrainingRow(query_id, positive, negatives) for positive in relevant]
            rows.sort()
            columns = list(zip(*rows, strict=True)) if rows else [(), (), ()]
            writer.write_table(pa.table(list(map(list, columns)), schema=SCHEMA))
            bar.update(len(chunk))
    if dropped:
        log.warning(
            "mining: %d of %d training queries dropped, fewer than mining.depth=%d negatives "
            "between ranks %d and %d",
            *(dropped, len(dataset.train), config.depth, config.first_rank, config.last_rank),
        )


def _choose(
    hits: list[Hit],
    relevant: set[str],
    excluded: set[str],
    corpus: Mapping[str, str],
    config: MiningConfig,
    rng: random.Random,
) -> tuple[str, ...]:
    """The negatives in the window of one query's ranked passages, in order."""
    positive_texts = {corpus[doc_id] for doc_id in relevant}
    window = [
        hit
        for hit in hits[config.first_rank : config.last_rank]
        if hit.doc_id not in excluded and corpus[hit.doc_id] not in positive_texts
    ]
    if config.margin is not None:
        # A positive that was not retrieved is less similar than all that were.
        found = [hit.score for hit in hits if hit.doc_id in relevant]
        ceiling = (max(found) if found else hits[-1].score) - config.margin
        window = [hit for hit in window if hit.score <= ceiling]
    if config.sampling == "random":
        rng.shuffle(window)
    return tuple(hit.doc_id for hit in window)


class TrainingSet:
    """The mined rows on disk, with as many negatives as a run asks for."""

    def __init__(self, folder: Path, dataset: Dataset, negatives: int) -> None:
        """``negatives`` is at most the depth that was mined."""
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
        """How many queries the rows are of."""
        return sum(1 for _ in groupby(self, key=lambda row: row.query_id))

    def examples(self) -> Iterator[TrainingExample]:
        """Every row as texts, the rows of a query together."""
        train, corpus = self._dataset.train, self._dataset.train_corpus
        largest = max((gain for docs in train.qrels.values() for gain in docs.values()), default=1)
        for row in self:
            yield TrainingExample(
                train.queries[row.query_id],
                corpus[row.positive_id],
                train.qrels[row.query_id][row.positive_id] / largest,
                [corpus[doc_id] for doc_id in row.negative_ids],
            )
