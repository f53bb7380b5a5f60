"""Measure token lengths, and what a cut at ``max_length`` removes.

In a cross-encoder query, passage and special tokens share ``max_length``, and only the passage is
cut. A ColBERT reads a query of ``query_length`` tokens and a passage of ``max_length`` apart, each
with special tokens and a marker of its kind.
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.audit.counts import Counts
from pipeline.audit.findings import Sightings
from pipeline.data.labelled.rows import LabelledRow
from pipeline.data.text import words

PERCENTILES = (50, 90, 95, 99, 100)
LONGEST = 200_000  # characters measured of one text; the rest is not counted
BINS = 40
MARKER = 1  # token that PyLate puts before a query or passage

Numbered = tuple[LabelledRow, int, int]  # row, number of its query, number of its passage


class Lengths:
    """Tokens, without special ones, of every distinct query and passage by number.

    ``query_length`` is None if query and passage are read together.
    """

    def __init__(self, tokenizer: Any, max_length: int, query_length: int | None = None) -> None:
        self.max_length = max_length
        self.query_length = query_length
        self.queries = array("I")
        self.passages = array("I")
        self.positives = 0  # rows, of which the cut is looked at
        self.behind_cut = Sightings()  # positive rows that match mostly behind the cut
        self.apart = int(tokenizer.num_special_tokens_to_add(pair=False)) + MARKER
        self.special = int(tokenizer.num_special_tokens_to_add(pair=True))
        # A tokenizer written in Python, as that of CANINE, does not say where its tokens are.
        self.sees_cut = bool(tokenizer.is_fast)
        self._tokenizer = tokenizer
        if self.sees_cut:
            tokenizer.backend_tokenizer.no_truncation()
            tokenizer.backend_tokenizer.no_padding()

    def add_passages(self, texts: Mapping[int, str]) -> dict[int, Any]:
        """Measure the new ones of ``texts`` (by number, ascending); return their encodings."""
        new = {number: text for number, text in texts.items() if number >= len(self.passages)}
        encoded = dict(zip(new, self._encode(new.values()), strict=True))
        self.passages.extend(map(len, encoded.values()))
        return encoded

    def add(self, batch: Sequence[Numbered]) -> None:
        """Measure rows in the order of their numbers."""
        queries = {query: row.query for row, query, _ in batch if query >= len(self.queries)}
        self.queries.extend(self.tokens(queries.values()))
        encoded = self.add_passages({passage: row.text for row, _, passage in batch})
        for row, query, passage in batch:
            if row.label > 0 and self.sees_cut:
                self.positives += 1
                room = self._room(query)
                if self.passages[passage] > room:
                    read = encoded.get(passage) or self._encode([row.text])[0]
                    if len(read) > room:  # The first spelling of the text may be the longer one.
                        self._check_behind(row, read.offsets[room][0])

    def _room(self, query: int) -> int:
        """How many tokens of a passage are read beside this query."""
        if self.query_length is not None:
            return max(0, self.max_length - self.apart)
        return max(0, self.max_length - self.special - self.queries[query])

    def pair_lengths(self, counts: Counts) -> NDArray[np.int64]:
        """Return the tokens that share ``max_length``, special ones included, by distinct pair.

        They are those of the passage alone where it is read apart from the query.
        """
        queries, passages = np.array(self.queries, np.int64), np.array(self.passages, np.int64)
        numbers = np.array(list(counts.pairs), np.int64).reshape(-1, 2)
        if self.query_length is not None:
            return passages[numbers[:, 1]] + self.apart
        return queries[numbers[:, 0]] + passages[numbers[:, 1]] + self.special

    def tokens(self, texts: Iterable[str]) -> list[int]:
        """Count the tokens of each text, without special ones."""
        return [len(encoded) for encoded in self._encode(texts)]

    def _encode(self, texts: Iterable[str]) -> list[Any]:
        cut = [text[:LONGEST] for text in texts]
        if not self.sees_cut:
            read = (self._tokenizer(t, add_special_tokens=False, verbose=False) for t in cut)
            return [tokens["input_ids"] for tokens in read]
        backend = self._tokenizer.backend_tokenizer
        return list(backend.encode_batch(cut, add_special_tokens=False))

    def _check_behind(self, row: LabelledRow, start: int) -> None:
        """Count the row if most of the shared words are only from ``start`` on."""
        shared = set(words(row.query)) & set(words(row.text))
        hidden = shared.difference(words(row.text[:start]))
        if hidden and 2 * len(hidden) >= len(shared):
            shown = ", ".join(sorted(hidden)[:5])
            self.behind_cut.add(f"line {row.line}: only after character {start}: {shown}")


def percentiles(lengths: Sequence[int] | NDArray[np.int64]) -> dict[str, int]:
    """Return ``PERCENTILES`` by name, each a length that occurs; {} for no lengths."""
    if len(lengths) == 0:
        return {}
    found = np.percentile(np.asarray(lengths), PERCENTILES, method="inverted_cdf")
    return {f"p{p}": int(value) for p, value in zip(PERCENTILES, found, strict=True)}


def histogram(lengths: NDArray[np.int64], max_length: int) -> dict[str, list[int]]:
    """Count lengths in bins that reach beyond ``max_length``; the last has all longer ones."""
    if len(lengths) == 0:
        return {"edges": [0, 1], "counts": [0]}
    last = max(int(np.percentile(lengths, 99)), 2 * max_length)
    edges = np.unique(np.linspace(0, last, BINS + 1).astype(int))
    counts, _ = np.histogram(np.minimum(lengths, last), edges)
    return {"edges": edges.tolist(), "counts": counts.tolist()}
