"""Mine the hard negatives of all training queries, or find them in the stage cache."""

from dataclasses import asdict
from pathlib import Path

from pipeline.config import Config
from pipeline.experiment.index import Index, index_passages
from pipeline.experiment.saved_scorer import find_scorer
from pipeline.experiment.seen import refuse_seen
from pipeline.infra.code_version import code_version
from pipeline.infra.hardware import Hardware
from pipeline.infra.stage_cache import StageCache
from pipeline.records import Dataset
from pipeline.retrieval.embedder import Embedder
from pipeline.retrieval.index import PassageTable
from pipeline.training.negatives import mine_negatives


def find_negatives(
    config: Config,
    dataset: Dataset,
    embedder: Embedder,
    index: Index,
    machine: Hardware,
    cache: StageCache,
) -> Path:
    """Mine the hard negatives; return their folder.

    They come from ``index``, or from one of their own if the miner or the corpus differs.

    Raises:
        InputError: the model of the miner or of the filter can't be used, or the filter has seen
            test queries.
    """
    mining, miner = config.mining, embedder
    if mining.embedder != config.embedder:
        miner = Embedder(mining.embedder, machine, cache, "mining.embedder")
    if dataset.train_corpus is not dataset.corpus or miner is not embedder:
        corpus, key = dataset.train_corpus, dataset.train_corpus_fingerprint
        index = index_passages(corpus, key, miner, config.index, cache)
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
