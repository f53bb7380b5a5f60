"""Prepare what all grid points on one data set share: data, index, candidates and negatives.

Each is computed once and then found in the stage cache, so that every run reranks the same
candidates and takes its negatives from the same list.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

from pipeline import data
from pipeline.config import Config
from pipeline.experiment.candidates import find_candidates, own_passages
from pipeline.experiment.index import index_passages
from pipeline.experiment.negatives import find_negatives
from pipeline.infra.hardware import Hardware
from pipeline.infra.stage_cache import StageCache
from pipeline.infra.steps import step
from pipeline.records import Dataset, InputError, Ranking
from pipeline.retrieval.candidates import nothing_found, read_candidates
from pipeline.retrieval.embedder import Embedder
from pipeline.retrieval.index import PassageTable
from pipeline.training.training_set import TrainingSet

log = logging.getLogger(__name__)


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
        corpus, key = dataset.corpus, dataset.corpus_fingerprint
        index = index_passages(corpus, key, embedder, config.index, cache)
        table = PassageTable(index.folder)
    with step("candidates", spent):
        own = own_passages(dataset)
        found = find_candidates(config, dataset, index.folder.name, table, embedder, own, cache)
        candidates = read_candidates(found, dataset.searched)
    negatives = None
    if config.epochs > 0:
        with step("negatives", spent):
            negatives = find_negatives(config, dataset, embedder, index, machine, cache)
    keys = index.folder.name, found.name
    return Shared(dataset, embedder, table, candidates, own, negatives, *keys)


def check_sizes(config: Config, dataset: Dataset) -> None:
    """Raise InputError if there are too few passages, or no queries to train on."""
    top_k, passages, name = config.eval.top_k, len(dataset.corpus), dataset.name
    if max(top_k) > passages:
        raise InputError(f"eval.top_k={top_k}: data set {name} has only {passages} passages")
    if config.epochs > 0 and not dataset.train:
        problem = f"data set {name} has no training queries, use epochs=0"
        raise InputError(f"epochs={config.epochs}: {problem}")
