"""Tokenise the texts of pairs once each, and join them to what the tokenizer makes of the pairs.

A passage that several queries found is not tokenised again for each of them.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

Features = Mapping[str, torch.Tensor]
"""What a tokenizer makes of a batch of texts; each tensor has the shape (texts, tokens)."""

Ids = NDArray[np.int64]


class PairTokens:
    """The tokens of queries and passages, of which a model reads ``max_length`` of each pair."""

    def __init__(
        self,
        tokenizer: Any,
        max_length: int,
        queries: Mapping[str, str],
        passages: Mapping[str, str],
    ) -> None:
        """Tokenise the texts, which are by id; ``tokenizer`` is a fast one of transformers."""
        self._tokenizer = tokenizer
        self._max_length = max_length
        self._queries = self._tokenised(queries)
        # The tokenizer cuts the longer side of a pair, so a passage must stay longer than what is
        # read and than any query: then the cut falls on the same tokens.
        longest = max(map(len, self._queries.values()), default=0)
        self._passages = self._tokenised(passages, max(max_length, longest) + 1)
        # Last, because it takes that cut back: what a tokenizer did last is saved with its model.
        self._frame = _frame(tokenizer)

    def _tokenised(self, texts: Mapping[str, str], limit: int | None = None) -> dict[str, Ids]:
        """Tokenise ``texts``, without special tokens and cut after ``limit`` tokens."""
        if not texts:
            return {}
        tokens = self._tokenizer(
            list(texts.values()),
            add_special_tokens=False,
            truncation=limit is not None,
            max_length=limit,
            verbose=False,
        )
        return {
            name: np.array(encoding.ids, dtype=np.int64)
            for name, encoding in zip(texts, tokens.encodings, strict=True)
        }

    def length(self, query_id: str, passage_id: str) -> int:
        """Count the tokens of a pair that are read, without special tokens."""
        length = len(self._queries[query_id]) + len(self._passages[passage_id])
        return min(length, self._max_length)

    def features(self, pairs: Sequence[tuple[str, str]]) -> Features:
        """Join (query id, passage id) pairs, padded to the longest and cut to what is read."""
        tokenizer, frame = self._tokenizer, self._frame
        rows = [self._joined(self._queries[q], self._passages[p]) for q, p in pairs]
        shape = len(rows), max(len(ids) for ids, _ in rows)
        padding = {
            "input_ids": tokenizer.pad_token_id,
            "attention_mask": 0,
            "token_type_ids": tokenizer.pad_token_type_id,
        }
        read = [name for name in tokenizer.model_input_names if name in padding]
        batch = {name: np.full(shape, padding[name], dtype=np.int64) for name in read}
        for number, (ids, lengths) in enumerate(rows):
            left = tokenizer.padding_side == "left"
            place = slice(shape[1] - len(ids), None) if left else slice(len(ids))
            batch["input_ids"][number, place] = ids
            if "attention_mask" in batch:
                batch["attention_mask"][number, place] = 1
            if "token_type_ids" in batch:
                batch["token_type_ids"][number, place] = np.repeat(frame.types, lengths)
        return {name: torch.from_numpy(values) for name, values in batch.items()}

    def _joined(self, query: Ids, passage: Ids) -> tuple[Ids, list[int]]:
        """The tokens of a pair, cut to what is read, and the lengths of its five parts."""
        before, between, after = self._frame.special
        room = self._max_length - len(before) - len(between) - len(after)
        kept = _kept(len(query), len(passage), room)
        if self._tokenizer.truncation_side == "left":
            query, passage = query[len(query) - kept[0] :], passage[len(passage) - kept[1] :]
        parts = [before, query[: kept[0]], between, passage[: kept[1]], after]
        return np.concatenate(parts), [len(part) for part in parts]


class PairTexts:
    """Tokenise each pair by the library, for a tokenizer written in Python."""

    def __init__(
        self,
        tokenizer: Any,
        max_length: int,
        queries: Mapping[str, str],
        passages: Mapping[str, str],
    ) -> None:
        self._tokenizer = tokenizer
        self._max_length = max_length
        self._queries = queries
        self._passages = passages

    def length(self, query_id: str, passage_id: str) -> int:
        """Count the characters of a pair."""
        return len(self._queries[query_id]) + len(self._passages[passage_id])

    def features(self, pairs: Sequence[tuple[str, str]]) -> Features:
        """Tokenise (query id, passage id) pairs, padded to the longest and cut to what is read."""
        features: Features = self._tokenizer(
            [(self._queries[query], self._passages[passage]) for query, passage in pairs],
            padding=True,
            truncation=True,
            max_length=self._max_length,
            return_tensors="pt",
        )
        return features


class _Frame(NamedTuple):
    """What a tokenizer puts around two texts."""

    special: tuple[Ids, Ids, Ids]  # tokens before, between and after
    types: list[int]  # of the five parts: special, query, special, passage, special


def _frame(tokenizer: Any) -> _Frame:
    """Read from a made-up pair what stands around any pair; special tokens are of neither text."""
    pair = tokenizer("a", "b").encodings[0]
    texts = pair.sequence_ids  # 0 and 1, or None
    query, passage = texts.index(0), texts.index(1)
    ends = [0, query, query + texts.count(0), passage, passage + texts.count(1), len(texts)]
    ids = [np.array(pair.ids[start:end], dtype=np.int64) for start, end in pairwise(ends)]
    # A part that is empty has no type, and needs none.
    types = [pair.type_ids[start] if start < end else 0 for start, end in pairwise(ends)]
    return _Frame((ids[0], ids[2], ids[4]), types)


def _kept(query: int, passage: int, room: int) -> tuple[int, int]:
    """How many tokens of a query and a passage are kept; the longer one is cut first.

    It is the rule "longest first" of the library ``tokenizers``.
    """
    if query + passage <= room:
        return query, passage
    short = min(query, passage)
    long = short if short > room else max(short, room - short)
    if short + long > room:
        short = room // 2
        long = room - short
    return (short, long) if query <= passage else (long, short)
