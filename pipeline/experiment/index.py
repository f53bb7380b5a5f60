"""Build the table of all passages, or find it in the stage cache."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.config.index import IndexConfig
from pipeline.infra.code_version import code_version
from pipeline.infra.stage_cache import StageCache, content_key
from pipeline.retrieval.embedder import Embedder
from pipeline.retrieval.index import build_table

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Index:
    """The folder of a passage table, and a key of its vectors, without full-text settings."""

    folder: Path
    vectors: str


def index_passages(
    corpus: Mapping[str, str],
    corpus_key: str,
    embedder: Embedder,
    config: IndexConfig,
    cache: StageCache,
) -> Index:
    """Build the passage table of ``corpus``, or find it; ``corpus_key`` names its content."""
    settings = asdict(config)
    del settings["hybrid_depth"]  # of searching, not of the table
    model = asdict(embedder.config)
    del model["name"], model["path"]  # the weights stand for them
    inputs = {
        "corpus": corpus_key,
        "embedder": model,
        "weights": embedder.content_hash,
        "precision": embedder.hardware.precision,
        "index": settings,
        "code": code_version("index"),
    }
    embedded = cache.unfinished("index", inputs)

    def build(folder: Path) -> None:
        if embedder.query_prompt or embedder.passage_prompt:
            prompts = (embedder.query_prompt, embedder.passage_prompt)
            log.info("embedder: %r is put before queries, %r before passages", *prompts)
        build_table(folder, corpus, embedder, config, embedded)

    folder = cache.get("index", inputs, build)
    of_vectors = {name: value for name, value in settings.items() if name != "fts"}
    return Index(folder, content_key({**inputs, "index": of_vectors}))
