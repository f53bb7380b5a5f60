"""A ColBERT without a model, for the tests of stored token vectors."""

from collections.abc import Sequence
from typing import Any
from zlib import crc32

import torch


class Drawn:
    """Draws the ``tokens`` vectors of a text by its checksum; keeps the passages it encoded."""

    def __init__(self, tokens: int = 20, token_size: int = 64) -> None:
        self.tokens, self.token_size = tokens, token_size
        self.encoded: list[str] = []

    def embed_queries(self, texts: Sequence[str]) -> list[torch.Tensor]:
        return [self._of(text) for text in texts]

    def embed_passages(self, texts: Sequence[str], bar: Any = None) -> list[torch.Tensor]:
        self.encoded += texts
        return [self._of(text) for text in texts]

    def pool(self, passages: Sequence[torch.Tensor], factor: int) -> list[torch.Tensor]:
        return [vectors[: -(-len(vectors) // factor)] for vectors in passages]

    def _of(self, text: str) -> torch.Tensor:
        seeded = torch.Generator().manual_seed(crc32(text.encode()))
        return torch.randn(self.tokens, self.token_size, generator=seeded)
