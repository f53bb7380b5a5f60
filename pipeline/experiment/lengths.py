"""Warn of queries that are longer than the models of a point read."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from pipeline.config import Config
from pipeline.config.models import ColbertConfig, CrossEncoderConfig
from pipeline.experiment.shared import Shared

log = logging.getLogger(__name__)

RARE = 0.01  # share of the queries up to which a cut is no warning


def warn_of_embedder(shared: Shared) -> None:
    """Log how many dev and test queries the embedder cuts, which is the same for many points."""
    embedder = shared.embedder
    queries = [embedder.query_prompt + query for query in _queries(shared)]
    _warn(queries, embedder.tokenizer, "embedder.max_length", embedder.config.max_length)


def warn_of_reranker(config: Config, base: Path, shared: Shared) -> None:
    """Log how many dev and test queries the reranker of a point cuts, and the key to raise."""
    arch = config.arch
    if isinstance(arch, ColbertConfig):
        # One more token tells a query from a passage.
        key, limit, more = "arch.query_length", arch.query_length, 1
    elif isinstance(arch, CrossEncoderConfig):
        # A passage has at least a token and a separator.
        key, limit, more = "arch.max_length", arch.max_length, 2
    else:
        return
    tokenizer = AutoTokenizer.from_pretrained(base, trust_remote_code=False)
    _warn(_queries(shared), tokenizer, key, limit, more)


def _queries(shared: Shared) -> list[str]:
    return list(shared.dataset.searched.values())


def _warn(queries: Sequence[str], tokenizer: Any, key: str, limit: int, more: int = 0) -> None:
    """Log ``12 of 40 queries are cut at ...`` unless nearly all fit with ``more`` tokens each."""
    encoded = tokenizer(list(queries), verbose=False)["input_ids"] if queries else []
    lengths = [len(tokens) + more for tokens in encoded]
    cut = sum(length > limit for length in lengths)
    if cut:
        level = logging.WARNING if cut > RARE * len(lengths) else logging.DEBUG
        text = "%d of %d queries are cut at %s=%d tokens, the longest needs %d: raise %s"
        log.log(level, text, cut, len(lengths), key, limit, max(lengths), key)
