"""Search for the dev and test queries, or find their candidates in the stage cache."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.config import Config
from pipeline.data.own_documents import own_documents
from pipeline.infra.code_version import code_version
from pipeline.infra.stage_cache import StageCache
from pipeline.records import Dataset
from pipeline.retrieval.candidates import retrieve, write_candidates
from pipeline.retrieval.embedder import Embedder
from pipeline.retrieval.index import PassageTable


def own_passages(dataset: Dataset) -> dict[str, str]:
    """Return query id -> passage id for the dev and test queries that are passages themselves."""
    splits = (dataset.dev, dataset.test)
    return {q: d for split in splits for q, d in own_documents(split, dataset.corpus).items()}


def find_candidates(
    config: Config,
    dataset: Dataset,
    index_key: str,
    table: PassageTable,
    embedder: Embedder,
    own: Mapping[str, str],
    cache: StageCache,
) -> Path:
    """Search for the dev and test queries; return the folder of their candidates.

    ``own`` names the passage that each query is itself, which is left out.
    """
    depth, search_depth, rrf_k = config.eval.candidates, config.search_depth, config.eval.rrf_k
    inputs = {
        "dataset": dataset.fingerprint,
        "index": index_key,
        "depth": depth,
        "search_depth": search_depth,
        "rrf_k": rrf_k,
        "code": code_version("candidates"),
    }

    def build(folder: Path) -> None:
        found = retrieve(dataset.searched, table, embedder, depth, search_depth, rrf_k, own)
        write_candidates(folder, found)

    return cache.get("candidates", inputs, build)
