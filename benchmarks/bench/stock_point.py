"""Run one point of a grid as a script of its own would: everything for itself, by the libraries.

Only the index is built by this project, so that the searches are the same. It is embedded in fp32.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from datasets import Dataset as Rows
from sentence_transformers import SentenceTransformer
from sentence_transformers.util import mine_hard_negatives
from transformers import set_seed

from benchmarks.bench import stock
from benchmarks.bench.stock import Rankings, StockColbert, StockCrossEncoder
from pipeline.config import Config
from pipeline.config.models import ColbertConfig, CrossEncoderConfig
from pipeline.infra.hardware import resolve
from pipeline.infra.model_files import locate
from pipeline.records import Dataset, TrainingExample
from pipeline.retrieval.embedder import Embedder
from pipeline.retrieval.index import PassageTable, build_table
from pipeline.retrieval.searches import Searches


@dataclass(frozen=True)
class StockPoint:
    """The rankings of the test queries, and how many steps the model was trained."""

    rankings: Rankings
    steps: int


def run_point(point: Config, dataset: Dataset, base: Path, folder: Path) -> StockPoint:
    """Embed and index the corpus, mine negatives, train, and evaluate query by query."""
    embedder = Embedder(point.embedder, replace(resolve(point.hardware), precision="fp32"))
    build_table(folder, dataset.corpus, embedder, point.index, folder / "embedded")
    set_seed(point.seed)
    model = _load(point, base)
    steps = 0
    if point.epochs > 0:
        assert model is not None
        steps = len(_train(model, point, dataset))
    searches = Searches(PassageTable(folder).table)
    return StockPoint(
        stock.evaluate(model, searches, embedder, dataset.test.queries, point.eval), steps
    )


def _load(point: Config, base: Path) -> StockCrossEncoder | StockColbert | None:
    """Load the base by the library of its architecture; None for a control."""
    arch = point.arch
    if isinstance(arch, CrossEncoderConfig):
        return StockCrossEncoder(base, arch.max_length)
    if isinstance(arch, ColbertConfig):
        return StockColbert(
            base,
            query_length=arch.query_length,
            document_length=arch.document_length,
            embedding_size=arch.embedding_size,
            do_query_expansion=arch.query_expansion,
        )
    return None


def _train(
    scorer: StockCrossEncoder | StockColbert, point: Config, dataset: Dataset
) -> list[float]:
    """Train at the length of training, and return the losses."""
    rows, settings, arch = _mined(point, dataset), point.train, point.arch
    options = settings.batch_size, settings.learning_rate, point.seed
    model: Any = scorer.model
    if isinstance(arch, CrossEncoderConfig):
        model.max_length = arch.training_tokens
        losses = stock.train_cross_encoder(model, rows, *options)
        model.max_length = arch.max_length
    else:
        assert isinstance(arch, ColbertConfig)
        model.document_length = arch.training_tokens
        losses = stock.train_colbert(model, rows, *options)
        model.document_length = arch.document_length
    model.eval()
    return losses


def _mined(point: Config, dataset: Dataset) -> list[TrainingExample]:
    """Mine the point's negatives by the library, from the ranks that its settings name."""
    mining, train, corpus = point.mining, dataset.train, dataset.train_corpus
    miner = SentenceTransformer(str(locate("base.path", mining.embedder.path)), device="cpu")
    miner.max_seq_length = mining.embedder.max_length
    pairs = [
        {"query": train.queries[query_id], "positive": corpus[positive]}
        for query_id, relevant in train.qrels.items()
        for positive in relevant
    ]
    found = mine_hard_negatives(
        Rows.from_list(pairs),
        miner,
        corpus=list(corpus.values()),
        range_min=mining.first_rank,
        range_max=mining.last_rank,
        num_negatives=point.negatives,
        sampling_strategy=mining.sampling,
        output_format="n-tuple",
        verbose=False,
    )
    return [_example(row) for row in found]


def _example(row: Mapping[str, str]) -> TrainingExample:
    query, positive, *negatives = row.values()
    return TrainingExample(query=query, positive=positive, gain=1, label=1.0, negatives=negatives)
