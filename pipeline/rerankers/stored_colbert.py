"""A ColBERT whose passages were encoded before: only the query is encoded to score.

    stored = StoredColbert.open(folder, model, RerankConfig(vectors="int8"), {"model": "v1"})
    stored.add({"7": "Sorts the list in place."})
    Searches(table).reranked("vector", text, vector, LanceReranker(stored))

A passage that the table lacks is encoded when it is first scored, to the same vectors, and then
kept in memory.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import torch
from tqdm import tqdm

from pipeline.config.stages import RerankConfig
from pipeline.infra.console import live_line
from pipeline.protocols import Scores
from pipeline.rerankers.maxsim import score_blocks
from pipeline.rerankers.token_cache import TokenCache
from pipeline.rerankers.token_codec import Codes, TokenCodec, Vectors
from pipeline.rerankers.token_table import TokenTable


@runtime_checkable
class TokenEmbedder(Protocol):
    """What is needed of a ColBERT; all tensors have the shape (tokens, ``token_size``)."""

    token_size: int

    def embed_queries(self, texts: Sequence[str]) -> list[torch.Tensor]:
        """Embed queries."""
        ...

    def embed_passages(
        self, texts: Sequence[str], bar: "tqdm[Any] | None" = None
    ) -> list[torch.Tensor]:
        """Embed passages, which ``bar`` counts."""
        ...

    def pool(self, passages: Sequence[torch.Tensor], factor: int) -> list[torch.Tensor]:
        """Merge the tokens of each passage to one in ``factor``."""
        ...


class StoredColbert:
    """Scores by MaxSim against stored token vectors.

    ``table`` may lack passages, or be None: these are encoded when they are first scored, and
    ``cache`` keeps as many of them as it has room for. Only one thread may score at a time.
    """

    def __init__(
        self,
        model: TokenEmbedder,
        config: RerankConfig,
        table: TokenTable | None = None,
        cache: TokenCache | None = None,
    ) -> None:
        self._model = model
        self._pooling = config.token_pooling
        self._codec = TokenCodec(config.vectors, model.token_size)
        self.table = table
        self._cache = TokenCache() if cache is None else cache

    @classmethod
    def open(
        cls, folder: Path, model: TokenEmbedder, config: RerankConfig, made_by: Mapping[str, str]
    ) -> Self:
        """Open the table in ``folder``, or make one there.

        ``made_by`` names what the vectors depend on beside ``config``, such as the model's hash.

        Raises:
            InputError: the table holds vectors of another model, or stored in another way.
        """
        codec = TokenCodec(config.vectors, model.token_size)
        made_by = {"token_pooling": str(config.token_pooling), **made_by}
        return cls(model, config, TokenTable(folder, codec, made_by))

    def add(self, passages: Mapping[str, str]) -> int:
        """Encode and store the passages (id -> text) that are new or have changed; count them."""
        assert self.table is not None, "opened without a table"
        added = self.table.add(passages, lambda ids: self.vectors([passages[d] for d in ids]))
        self.table.index()
        return added

    def score_pairs(
        self,
        queries: Mapping[str, str],
        passages: Mapping[str, str],
        pairs: Sequence[tuple[str, str]],
        progress: bool = False,
    ) -> Scores:
        """Compute MaxSim, shape (len(pairs),), with the passages as they are stored."""
        doc_ids = list(dict.fromkeys(doc_id for _, doc_id in pairs))
        with live_line("score pairs", "passage", total=len(doc_ids), hidden=not progress) as bar:

            def read(some: Sequence[str]) -> list[torch.Tensor]:
                found = self._read({doc_id: passages[doc_id] for doc_id in some}, bar)
                return [torch.from_numpy(found[doc_id]) for doc_id in some]

            return score_blocks(queries, self._model.embed_queries, pairs, doc_ids, read)

    def vectors(self, texts: Sequence[str], bar: "tqdm[Any] | None" = None) -> list[Vectors]:
        """Encode passages, which ``bar`` counts, to what is stored: in half precision, pooled."""
        tokens = self._model.embed_passages(texts, bar)
        return self.pooled([vectors.cpu().numpy() for vectors in tokens])

    def pooled(self, passages: Sequence[Vectors]) -> list[Vectors]:
        """Halve the precision of full token vectors, and pool them."""
        halved = [torch.from_numpy(vectors).half().float() for vectors in passages]
        if self._pooling > 1:
            halved = self._model.pool(halved, self._pooling)
        return [vectors.numpy() for vectors in halved]

    def _read(self, passages: Mapping[str, str], bar: "tqdm[Any]") -> dict[str, Vectors]:
        found = self.table.read(passages) if self.table is not None else {}
        bar.update(len(found))
        missing = {doc_id: text for doc_id, text in passages.items() if doc_id not in found}
        if missing:
            end = bar.n + len(missing)
            codes = self._cache.read(list(missing.values()), partial(self._encode, bar=bar))
            bar.update(end - bar.n)  # Encoding has counted those that were not kept.
            found |= zip(missing, map(self._codec.decode, codes), strict=True)
        return found

    def _encode(self, texts: Sequence[str], bar: "tqdm[Any]") -> list[Codes]:
        return [self._codec.encode(vectors) for vectors in self.vectors(texts, bar)]
