"""Prepare what all grid points on one data set share: data, index, candidates and negatives.

Each is computed once and then found in the stage cache, so that every run reranks the same
candidates and takes its negatives from the same list.
"""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline import data
from pipeline.config import Config
from pipeline.config.stages import EvalConfig, IndexConfig
from pipeline.infra.code_version import code_version
from pipeline.infra.errors import step
from pipeline.infra.hardware import Hardware
from pipeline.infra.stage_cache import StageCache
from pipeline.records import Dataset, InputError, Ranking
from pipeline.retrieval.candidates import read_candidates, retrieve, write_candidates
from pipeline.retrieval.embedder import Embedder
from pipeline.retrieval.index import PassageTable, build_table
from pipeline.training.negatives import mine_negatives

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shared:
    """What all runs on one data set and embedder have in common."""

    dataset: Dataset
    embedder: Embedder
    table: PassageTable
    candidates: dict[str, Ranking]  # by search, of dev and test queries
    negatives: Path | None  # None where nothing is trained
    index_key: str
    candidates_key: str

    def test_candidates(self) -> dict[str, Ranking]:
        """Search -> the candidates of the test queries."""
        test = self.dataset.test.queries
        return {search: {q: found[q] for q in test} for search, found in self.candidates.items()}

    def dev_candidates(self, depth: int) -> dict[str, Ranking]:
        """Search -> the first ``depth`` candidates of each dev query."""
        dev = self.dataset.dev.queries
        return {
            search: {q: found[q][:depth] for q in dev} for search, found in self.candidates.items()
        }


def prepare_shared(config: Config, machine: Hardware, cache: StageCache) -> Shared:
    """Data set, index, candidates and negatives, each from the cache if it is there.

    ``machine`` has its precision as configured, because "auto" may mean another one for the
    embedder than for the reranker.

    Raises:
        InputError: the data set or a model can't be found, or is too small for the settings.
    """
    with step("dataset"):
        dataset = data.load(config.dataset, cache)
        _check_sizes(config, dataset)
    with step("index"):
        embedder = Embedder(config.embedder, machine, cache)
        index = _index(dataset.fingerprint, dataset.corpus, embedder, config.index, cache)
        table = PassageTable(index)
    with step("candidates"):
        found = _candidates(dataset, index.name, table, embedder, config.eval, cache)
        candidates = read_candidates(found, dataset.dev.queries | dataset.test.queries)
    negatives = None
    if config.epochs > 0:
        with step("negatives"):
            negatives = _negatives(config, dataset, embedder, index, machine, cache)
    return Shared(dataset, embedder, table, candidates, negatives, index.name, found.name)


def _index(
    corpus_key: str,
    corpus: Mapping[str, str],
    embedder: Embedder,
    config: IndexConfig,
    cache: StageCache,
) -> Path:
    """The folder of the passage table of ``corpus``."""
    inputs = {
        "corpus": corpus_key,
        "embedder": asdict(embedder.config),
        "weights": embedder.weights,
        "precision": embedder.hardware.precision,
        "index": asdict(config),
        "code": code_version("index"),
    }
    embedded = cache.unfinished("index", inputs)

    def build(folder: Path) -> None:
        if embedder.query_prompt or embedder.passage_prompt:
            prompts = (embedder.query_prompt, embedder.passage_prompt)
            log.info("embedder: %r is put before queries, %r before passages", *prompts)
        build_table(folder, corpus, embedder, config, embedded)

    return cache.get("index", inputs, build)


def _candidates(
    dataset: Dataset,
    index_key: str,
    table: PassageTable,
    embedder: Embedder,
    config: EvalConfig,
    cache: StageCache,
) -> Path:
    """The folder of the candidates of dev and test queries."""
    queries = dataset.dev.queries | dataset.test.queries
    depth, rrf_k = config.candidates, config.rrf_k
    inputs = {
        "dataset": dataset.fingerprint,
        "index": index_key,
        "depth": depth,
        "rrf_k": rrf_k,
        "code": code_version("candidates"),
    }

    def build(folder: Path) -> None:
        write_candidates(folder, retrieve(queries, table, embedder, depth, rrf_k))

    return cache.get("candidates", inputs, build)


def _negatives(
    config: Config,
    dataset: Dataset,
    embedder: Embedder,
    index: Path,
    machine: Hardware,
    cache: StageCache,
) -> Path:
    """The folder of the mined negatives; they come from an index of their own if necessary."""
    mining, miner = config.mining, embedder
    if mining.embedder != config.embedder:
        miner = Embedder(mining.embedder, machine, cache, "mining.embedder")
    if dataset.train_corpus is not dataset.corpus or miner is not embedder:
        key = dataset.fingerprint + ":train"
        index = _index(key, dataset.train_corpus, miner, config.index, cache)
    seed = config.dataset.seed
    settings = asdict(mining)
    del settings["chunk_size"]  # bounds memory only
    inputs = {
        "dataset": dataset.fingerprint,
        "index": index.name,  # and so the miner's weights
        "mining": settings,
        "precision": miner.hardware.precision,
        "seed": seed,
        "code": code_version("negatives"),
    }

    def build(folder: Path) -> None:
        mine_negatives(folder, dataset, PassageTable(index), miner, mining, seed)

    return cache.get("negatives", inputs, build)


def _check_sizes(config: Config, dataset: Dataset) -> None:
    if max(config.eval.top_k) > len(dataset.corpus):
        raise InputError(
            f"eval.top_k={config.eval.top_k}: the corpus has only {len(dataset.corpus)} passages"
        )
    if config.epochs > 0 and not dataset.train:
        raise InputError(
            f"epochs={config.epochs}: data set {dataset.name} has no training queries, use epochs=0"
        )
