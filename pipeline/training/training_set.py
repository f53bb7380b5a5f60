"""The mined rows on disk, from which every run takes its training examples."""

from collections.abc import Iterator
from functools import cached_property
from hashlib import sha256
from heapq import nsmallest
from itertools import groupby
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from pipeline.data.text import text_key
from pipeline.records import Dataset, TrainingExample, TrainingRow

FILE = "negatives.parquet"
SCHEMA = pa.schema(
    [
        pa.field("query_id", pa.string()),
        pa.field("positive_id", pa.string()),
        pa.field("negative_ids", pa.list_(pa.string())),
    ]
)


class TrainingSet:
    """The mined rows on disk, with as many queries and negatives as a run takes."""

    def __init__(
        self, folder: Path, dataset: Dataset, negatives: int, queries: int | None = None
    ) -> None:
        """Open the rows in ``folder``; ``negatives`` is at most the depth that was mined.

        Of more than ``queries`` queries, those remain whose ids have the lowest hashes. So the
        choice is random, and larger ones contain smaller ones.
        """
        self._file = folder / FILE
        self._dataset = dataset
        self._taken = self._lowest_hashes(queries)
        self.negatives = negatives

    def _lowest_hashes(self, queries: int | None) -> frozenset[str] | None:
        """Choose the ids of ``queries`` queries; None: all queries that there are."""
        if queries is None:
            return None
        ids = self._query_ids()
        if queries >= len(ids):
            return None
        return frozenset(nsmallest(queries, ids, key=lambda i: sha256(i.encode()).digest()))

    def _query_ids(self) -> list[str]:
        column = pads.dataset(self._file).to_table(["query_id"])["query_id"]
        found: list[str] = column.unique().to_pylist()
        return found

    def __len__(self) -> int:
        if self._taken is None:
            return int(pq.read_metadata(self._file).num_rows)
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[TrainingRow]:
        for batch in pads.dataset(self._file).to_batches():
            columns = batch.to_pydict()
            for query_id, positive_id, ids in zip(*columns.values(), strict=True):
                if self._taken is None or query_id in self._taken:
                    yield TrainingRow(query_id, positive_id, tuple(ids[: self.negatives]))

    @property
    def complete(self) -> bool:
        """Whether it has every query that was mined."""
        return self._taken is None

    @cached_property
    def queries(self) -> int:
        """How many queries the rows belong to."""
        return len(self._query_ids() if self._taken is None else self._taken)

    @property
    def largest_gain(self) -> int:
        """The largest gain of a passage for a training query."""
        judged = self._dataset.train.qrels.values()
        return max((gain for gains in judged for gain in gains.values()), default=1)

    def examples(self) -> Iterator[TrainingExample]:
        """Yield every row as texts, the rows of a query together."""
        train, corpus = self._dataset.train, self._dataset.train_corpus
        largest = self.largest_gain
        for query_id, rows in groupby(self, key=lambda row: row.query_id):
            gains = train.qrels[query_id]
            keys = {doc_id: text_key(corpus[doc_id]) for doc_id in gains}
            others = self._dataset.also_relevant.get(query_id, ())
            relevant = (*keys.values(), *others)
            for row in rows:
                gain = gains[row.positive_id]
                yield TrainingExample(
                    query=train.queries[query_id],
                    positive=corpus[row.positive_id],
                    gain=gain,
                    label=gain / largest,
                    negatives=[corpus[doc_id] for doc_id in row.negative_ids],
                    relevant=relevant,
                    held_out=keys[row.positive_id] in self._dataset.held_out,
                    query_id=query_id,
                )
