"""Make batches for the training of a ColBERT that end where their longest text ends."""

from collections.abc import Callable
from typing import Any

import torch
from pylate.utils import ColBERTCollator

from pipeline.infra.distributed import world_size

MASK = "_attention_mask"


class ShortCollator(ColBERTCollator):  # type: ignore[misc]
    """PyLate's collator, cut to the longest text of the batch.

    PyLate pads each text to the most that the model reads, so that a query of 14 tokens would cost
    as much as one of 96. The columns of passages are stacked, so they share one length. Padding
    that is query expansion stays, and so does padding of passages that processes exchange.
    """

    def __init__(
        self, tokenize: Callable[..., dict[str, torch.Tensor]], expands_queries: bool
    ) -> None:
        super().__init__(tokenize)
        self._expands_queries = expands_queries

    def __call__(self, features: list[dict[str, Any]]) -> dict[str, Any]:
        """Tokenize the columns of ``features`` and return tensors of the shape (texts, tokens)."""
        batch: dict[str, Any] = super().__call__(features)
        columns = [name.removesuffix(MASK) for name in batch if name.endswith(MASK)]
        passages = [column for column in columns if column != "query"]
        if not self._expands_queries:
            _shorten(batch, ["query"])
        if world_size() == 1:
            _shorten(batch, passages)
        return batch


def _shorten(batch: dict[str, Any], columns: list[str]) -> None:
    """Cut all tensors of ``columns`` behind the last token that is not padding."""
    used = torch.cat([batch[column + MASK] for column in columns]).any(dim=0)
    length = int(used.nonzero().max()) + 1
    for name, value in batch.items():
        if name.startswith(tuple(f"{column}_" for column in columns)):
            batch[name] = value[:, :length]
