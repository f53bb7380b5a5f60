"""What all grid points on one data set have in common: data, index, candidates, negatives.

Computed once and found again under ``output_dir/cache``, so that every run reranks the same
candidates and takes its negatives from the same list.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline import data
from pipeline.config import Config
from pipeline.config.models import EmbedderConfig
from pipeline.infra import provenance
from pipeline.infra.hardware import Hardware
from pipeline.infra.stage_cache import enter_stage, stage_output, unfinished
from pipeline.records import Dataset, InputError, Ranking
from pipeline.retrieval.candidates import read_candidates, retrieve, write_candidates
from pipeline.retrieval.embedder import Embedder
from pipeline.retrieval.index import PassageTable, build_table
from pipeline.training.negatives import mine_negatives

# The modules that make a stage, whose sources are a part of its key. Those of an earlier stage
# are in the key of that stage.
INDEXING = ("retrieval.embedder", "retrieval.index", "infra.hardware")
RETRIEVING = ("retrieval.candidates", "retrieval.fusion", "records")
MINING = ("training.negatives", "records")


@dataclass(frozen=True)
class Shared:
    """What all runs on one data set and embedder have in common."""

    dataset: Dataset
    embedder: Embedder
    table: PassageTable
    candidates: dict[str, Ranking]  # of dev and test queries
    negatives: Path | None  # None where nothing is trained
    index_key: str


def prepare(config: Config, machine: Hardware) -> Shared:
    """Data set, index, candidates and negatives, each from the cache if it is there."""
    cache = Path(config.output_dir) / "cache"
    enter_stage("dataset")
    dataset = data.load(config.dataset, cache)
    _check_sizes(config, dataset)
    enter_stage("index")
    embedder = Embedder(config.embedder, machine)

    def index(corpus_key: str, corpus: Any, by: Embedder, of: EmbedderConfig) -> Path:
        inputs = {
            "corpus": corpus_key,
            "embedder": asdict(of),
            "weights": by.weights,
            "precision": machine.precision,
            "index": asdict(config.index),
            "code": provenance.code_version(*INDEXING),
        }
        embedded = unfinished(cache, "index", inputs)
        return stage_output(
            cache,
            "index",
            inputs,
            lambda folder: build_table(folder, corpus, by, config.index, embedded),
        )

    folder = index(dataset.fingerprint, dataset.corpus, embedder, config.embedder)
    enter_stage("candidates")
    table = PassageTable(folder)
    queries = dataset.dev.queries | dataset.test.queries
    depth = config.eval.candidates
    inputs = {"index": folder.name, "depth": depth, "rrf_k": config.eval.rrf_k}
    found = stage_output(
        cache,
        "candidates",
        inputs | {"dataset": dataset.fingerprint, "code": provenance.code_version(*RETRIEVING)},
        lambda out: write_candidates(
            out, retrieve(queries, table, embedder, depth, config.eval.rrf_k)
        ),
    )
    negatives = None
    if config.epochs > 0:
        enter_stage("negatives")
        miner, mined = embedder, folder
        if config.mining.embedder != config.embedder:
            miner = Embedder(config.mining.embedder, machine)
        if dataset.train_corpus is not dataset.corpus or miner is not embedder:
            key = dataset.fingerprint + ":train"
            mined = index(key, dataset.train_corpus, miner, config.mining.embedder)
        inputs = {
            "dataset": dataset.fingerprint,
            "index": mined.name,  # the key of what is mined from, and so the miner's weights
            "mining": asdict(config.mining),
            "precision": machine.precision,
            "seed": config.dataset.seed,
            "code": provenance.code_version(*MINING),
        }
        negatives = stage_output(
            cache,
            "negatives",
            inputs,
            lambda out: mine_negatives(
                out, dataset, PassageTable(mined), miner, config.mining, config.dataset.seed
            ),
        )
    return Shared(dataset, embedder, table, read_candidates(found, queries), negatives, folder.name)


def _check_sizes(config: Config, dataset: Dataset) -> None:
    if max(config.eval.top_k) > len(dataset.corpus):
        raise InputError(
            f"eval.top_k={config.eval.top_k}: the corpus has only {len(dataset.corpus)} passages"
        )
    if config.epochs > 0 and not dataset.train:
        raise InputError(
            f"epochs={config.epochs}: data set {dataset.name} has no training queries, use epochs=0"
        )
