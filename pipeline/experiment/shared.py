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
from pipeline.config.index import IndexConfig
from pipeline.data.own_documents import own_documents
from pipeline.experiment.saved_scorer import find_scorer
from pipeline.experiment.seen import refuse_seen
from pipeline.infra.code_version import code_version
from pipeline.infra.hardware import Hardware
from pipeline.infra.stage_cache import StageCache, content_key
from pipeline.infra.steps import step
from pipeline.records import Dataset, InputError, Ranking
from pipeline.retrieval.candidates import (
    nothing_found,
    read_candidates,
    retrieve,
    write_candidates,
)
from pipeline.retrieval.embedder import Embedder
from pipeline.retrieval.index import PassageTable, build_table
from pipeline.training.negatives import mine_negatives
from pipeline.training.training_set import TrainingSet

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Index:
    """The folder of a passage table, and a key of its vectors, without full-text settings."""

    folder: Path
    vectors: str


@dataclass(frozen=True)
class Shared:
    """What all runs on one data set and embedder have in common."""

    dataset: Dataset
    embedder: Embedder
    table: PassageTable
    candidates: dict[str, Ranking]  # by search, of dev and test queries
    own: dict[str, str]  # query id -> the passage that is the query itself, which is left out
    negatives: Path | None  # None where nothing is trained
    index_key: str
    candidates_key: str

    def training_set(self, config: Config) -> TrainingSet:
        """The rows that a point trains on."""
        assert self.negatives is not None
        return TrainingSet(self.negatives, self.dataset, config.negatives, config.train.queries)

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


def announce(shared: Shared) -> None:
    """Log what the data set holds, and what a reader of its figures must know about the search."""
    data.warn_of_loss(shared.dataset)
    log.info("%s", data.summary(shared.dataset))
    if shared.own:
        log.info(
            "candidates: %d queries are passages of the corpus themselves, with the same id; that "
            "passage is left out of their candidates",
            len(shared.own),
        )
    warn_of_empty_lists(shared)


def warn_of_empty_lists(shared: Shared) -> None:
    """Log a warning if full-text search finds nothing for most queries."""
    queries, empty = len(shared.candidates["fts"]), nothing_found(shared.candidates["fts"])
    if 2 * empty > queries:
        log.warning(
            "full-text search finds nothing for %d of %d queries; set index.fts.tokenizer=icu for "
            "Chinese, Japanese or Thai, and index.fts.language for other languages",
            empty,
            queries,
        )


def shared_key(config: Config) -> str:
    """Return a text that is the same for points that share all that ``prepare_shared`` makes."""
    search = (config.dataset, config.embedder, config.index, config.search_depth)
    mining = config.mining if config.epochs > 0 else None
    return str((search, config.eval.candidates, config.eval.rrf_k, config.hardware, mining))


def prepare_shared(
    config: Config, machine: Hardware, cache: StageCache, spent: dict[str, float] | None = None
) -> Shared:
    """Data set, index, candidates and negatives, each from the cache if it is there.

    ``machine`` has its precision as configured, because "auto" may mean another one for the
    embedder than for the reranker. ``spent`` collects the seconds of each step.

    Raises:
        InputError: the data set or a model can't be found, or is too small for the settings.
    """
    with step("dataset", spent):
        dataset = data.load(config.dataset, cache)
        check_sizes(config, dataset)
    with step("index", spent):
        embedder = Embedder(config.embedder, machine, cache)
        index = _index(dataset.corpus_fingerprint, dataset.corpus, embedder, config.index, cache)
        table = PassageTable(index.folder)
    with step("candidates", spent):
        own = _own(dataset)
        found = _candidates(config, dataset, index.folder.name, table, embedder, own, cache)
        candidates = read_candidates(found, dataset.searched)
    negatives = None
    if config.epochs > 0:
        with step("negatives", spent):
            negatives = _negatives(config, dataset, embedder, index, machine, cache)
    keys = index.folder.name, found.name
    return Shared(dataset, embedder, table, candidates, own, negatives, *keys)


def _own(dataset: Dataset) -> dict[str, str]:
    """The dev and test queries that are passages themselves."""
    splits = (dataset.dev, dataset.test)
    return {q: d for split in splits for q, d in own_documents(split, dataset.corpus).items()}


def _index(
    corpus_key: str,
    corpus: Mapping[str, str],
    embedder: Embedder,
    config: IndexConfig,
    cache: StageCache,
) -> _Index:
    """The passage table of ``corpus``."""
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
    return _Index(folder, content_key({**inputs, "index": of_vectors}))


def _candidates(
    config: Config,
    dataset: Dataset,
    index_key: str,
    table: PassageTable,
    embedder: Embedder,
    own: Mapping[str, str],
    cache: StageCache,
) -> Path:
    """The folder of the candidates of dev and test queries."""
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


def _negatives(
    config: Config,
    dataset: Dataset,
    embedder: Embedder,
    index: _Index,
    machine: Hardware,
    cache: StageCache,
) -> Path:
    """The folder of the mined negatives; they come from an index of their own if necessary."""
    mining, miner = config.mining, embedder
    if mining.embedder != config.embedder:
        miner = Embedder(mining.embedder, machine, cache, "mining.embedder")
    if dataset.train_corpus is not dataset.corpus or miner is not embedder:
        index = _index(
            dataset.train_corpus_fingerprint, dataset.train_corpus, miner, config.index, cache
        )
    seed = config.dataset.seed
    filter_by = None
    if mining.filter is not None:
        filter_by = find_scorer("mining.filter", mining.filter, config, cache)
        refuse_seen(filter_by.name, filter_by.folder, dataset)
    settings = asdict(mining)
    del settings["embedder"], settings["filter"]  # vectors and scores stand for them
    inputs = {
        "dataset": dataset.fingerprint,
        "vectors": index.vectors,  # and so the miner's weights
        "mining": settings,
        "filter": filter_by.inputs() if filter_by else None,
        "precision": miner.hardware.precision,
        "seed": seed,
        "code": code_version("negatives"),
    }

    def build(folder: Path) -> None:
        scorer = filter_by.load() if filter_by else None
        mine_negatives(folder, dataset, PassageTable(index.folder), miner, mining, seed, scorer)

    return cache.get("negatives", inputs, build)


def check_sizes(config: Config, dataset: Dataset) -> None:
    """Raise InputError if there are too few passages, or no queries to train on."""
    top_k, passages, name = config.eval.top_k, len(dataset.corpus), dataset.name
    if max(top_k) > passages:
        raise InputError(f"eval.top_k={top_k}: data set {name} has only {passages} passages")
    if config.epochs > 0 and not dataset.train:
        problem = f"data set {name} has no training queries, use epochs=0"
        raise InputError(f"epochs={config.epochs}: {problem}")
