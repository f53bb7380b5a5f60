"""Tokenise the texts of pairs once each, and join them to what the tokenizer makes of the pairs.

A passage that several queries found is not tokenised again for each of them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

Features = Mapping[str, torch.Tensor]
"""What a tokenizer makes of a batch of texts; each tensor has the shape (texts, tokens)."""

FIELDS = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
"""What a model reads, and its name in the library ``tokenizers``."""


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

    def _tokenised(self, texts: Mapping[str, str], limit: int | None = None) -> dict[str, Any]:
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
        return dict(zip(texts, tokens.encodings, strict=True))

    def length(self, query_id: str, passage_id: str) -> int:
        """Count the tokens of a pair that are read, without special tokens."""
        length = len(self._queries[query_id]) + len(self._passages[passage_id])
        return min(length, self._max_length)

    def features(self, pairs: Sequence[tuple[str, str]]) -> Features:
        """Join (query id, passage id) pairs, padded to the longest and cut to what is read."""
        tokenizer = self._tokenizer
        special = tokenizer.num_special_tokens_to_add(pair=True)
        longest = special + max(self.length(*pair) for pair in pairs)
        backend = tokenizer.backend_tokenizer
        backend.enable_truncation(self._max_length, direction=tokenizer.truncation_side)
        backend.enable_padding(
            length=min(longest, self._max_length),
            direction=tokenizer.padding_side,
            pad_id=tokenizer.pad_token_id,
            pad_type_id=tokenizer.pad_token_type_id,
            pad_token=tokenizer.pad_token,
        )
        joined = [backend.post_process(self._queries[q], self._passages[p]) for q, p in pairs]
        backend.no_padding()  # It would be saved with the model.
        return {
            name: torch.tensor([getattr(pair, FIELDS[name]) for pair in joined])
            for name in tokenizer.model_input_names
        }


class PairTexts:
    """The same for a tokenizer without ``post_process``, written in Python: it reads each pair."""

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
