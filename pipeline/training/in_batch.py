"""Tell the real from the false negatives in a batch, for losses that take negatives from there.

In such a loss the passages of the other rows of a batch are negatives of a row, too. Some of them
are relevant to its query: those of another row of the same query, or passages that are relevant to
both queries. They must not be trained as irrelevant, nor must those that are relevant to a dev or
test query. And a passage that several rows show must not count several times. Texts are compared,
not ids, because one text may have several ids.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch

from pipeline.data.text import text_key
from pipeline.records import TrainingExample

RECENT = 4096  # texts whose keys are kept, as the rows of a query share most of their texts


class InBatch:
    """Knows the texts of all rows by keys of 8 bytes, and what is relevant to each query."""

    def __init__(self) -> None:
        self._queries = array("q")  # row -> key of its query
        self._shown = array("q")  # row after row: keys of its passages, the relevant one first
        self._held_out = array("b")  # row -> 1 if its relevant passage is a negative of no query
        self._places = array("q")  # row -> place of its query in _ends
        self._relevant = array("q")  # query after query: keys of the passages relevant to it
        self._ends = array("q", [0])  # where the passages of a query begin, and at last their end

    def collect(self, rows: Iterable[TrainingExample]) -> Iterator[TrainingExample]:
        """Pass the rows on and remember their keys; all have the same number of negatives."""
        last: object = None
        for row in rows:
            if (row.query, row.relevant) != last:
                last = (row.query, row.relevant)
                self._relevant.extend(map(_short, row.relevant))
                self._ends.append(len(self._relevant))
            self._queries.append(_key(row.query))
            self._shown.extend(map(_key, (row.positive, *row.negatives)))
            self._held_out.append(row.held_out)
            self._places.append(len(self._ends) - 2)
            yield row

    def excluded(self, here: Sequence[int], batch: Sequence[int]) -> torch.Tensor:
        """Mark the passages of a batch that a row must not count as negatives.

        ``here`` and ``batch`` are row numbers, from 0 in the order of ``collect``; ``here`` is
        ``batch`` or, with several processes, the part of it that this one trains. The result has
        the shape (len(here), len(batch), passages of a row). It is True for passages that are
        relevant to the query of the row or held out, but for the row's own relevant passage, and
        for repeated passages.
        """
        shown = np.frombuffer(self._shown, dtype=np.int64).reshape(len(self._queries), -1)
        queries = np.frombuffer(self._queries, dtype=np.int64)
        held_out = np.frombuffer(self._held_out, dtype=bool)[list(batch)]
        passages = shown[list(batch)]
        first = np.zeros(passages.size, dtype=bool)
        first[np.unique(passages, return_index=True)[1]] = True
        repeated = ~first.reshape(passages.shape)
        result = np.empty((len(here), *passages.shape), dtype=bool)
        for mask, row in zip(result, here, strict=True):
            place = self._places[row]
            relevant_here = self._relevant[self._ends[place] : self._ends[place + 1]]
            relevant = np.isin(passages, relevant_here)
            relevant[:, 0] |= (queries[list(batch)] == queries[row]) | held_out
            mask[:] = relevant | repeated | np.isin(passages, shown[row])
            own = batch.index(row)
            mask[own] = relevant[own]
            mask[own, 0] = False
        return torch.from_numpy(result)


@lru_cache(RECENT)
def _key(text: str) -> int:
    return _short(text_key(text))


def _short(key: bytes) -> int:
    """Cut a text key to 8 bytes; among the rows of a batch they do not meet by chance."""
    return int.from_bytes(key[:8], "little", signed=True)
