"""Warn of queries that are longer than the models of a point read."""

import logging
from collections.abc import Collection
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from pipeline.config import Config
from pipeline.config.models import ColbertConfig, CrossEncoderConfig
from pipeline.experiment.shared import Shared

log = logging.getLogger(__name__)


def warn_of_cut_queries(config: Config, base: Path, shared: Shared) -> list[str]:
    """Log how many dev and test queries are cut, by which key; return the lines."""
    queries = (shared.dataset.dev.queries | shared.dataset.test.queries).values()
    embedder = shared.embedder
    prompted = [embedder.query_prompt + query for query in queries]
    key, limit = "embedder.max_length", embedder.config.max_length
    lines = [_cut(prompted, embedder.tokenizer, key, limit)]
    arch = config.arch
    if isinstance(arch, ColbertConfig):
        tokenizer = AutoTokenizer.from_pretrained(base)
        # One more token tells a query from a passage.
        lines.append(_cut(queries, tokenizer, "arch.query_length", arch.query_length, more=1))
    elif isinstance(arch, CrossEncoderConfig):
        tokenizer = AutoTokenizer.from_pretrained(base)
        # A passage has at least a token and a separator.
        lines.append(_cut(queries, tokenizer, "arch.max_length", arch.max_length, more=2))
    warnings = [line for line in lines if line]
    for line in warnings:
        log.warning("%s", line)
    return warnings


def _cut(
    queries: Collection[str], tokenizer: Any, key: str, limit: int, more: int = 0
) -> str | None:
    """``12 of 40 queries are cut at ...``; None if all of them fit with ``more`` tokens each."""
    encoded = tokenizer(list(queries), verbose=False)["input_ids"] if queries else []
    lengths = [len(tokens) + more for tokens in encoded]
    cut = sum(length > limit for length in lengths)
    if cut == 0:
        return None
    return (
        f"{cut} of {len(lengths)} queries are cut at {key}={limit} tokens, the longest needs "
        f"{max(lengths)}: raise {key}"
    )
