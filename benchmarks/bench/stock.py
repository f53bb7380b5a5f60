"""The stock way to score and to train: the libraries as their documentation shows them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from pylate import losses, models, rank, utils
from sentence_transformers import (
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.cross_encoder import (
    CrossEncoder,
    CrossEncoderTrainer,
    CrossEncoderTrainingArguments,
)
from transformers import PrinterCallback

from pipeline.config.stages import EvalConfig
from pipeline.protocols import Scorer, Scores
from pipeline.records import SEARCHES, TrainingExample
from pipeline.rerankers.lance import LanceReranker
from pipeline.rerankers.lce import LceLoss
from pipeline.retrieval.embedder import Embedder
from pipeline.retrieval.searches import Searches

Texts = Mapping[str, str]
Pairs = Sequence[tuple[str, str]]
Rankings = dict[tuple[str, int, str], list[str]]
"""(search, cutoff, query id) -> the best passages."""


class StockCrossEncoder:
    """``CrossEncoder.predict``, at the lengths that this project reads."""

    def __init__(self, folder: Path, max_length: int) -> None:
        self.model = CrossEncoder(str(folder), num_labels=1, device="cpu", max_length=max_length)

    def score_pairs(
        self, queries: Texts, passages: Texts, pairs: Pairs, progress: bool = False
    ) -> Scores:
        """Score all pairs at once, as logits."""
        texts = [(queries[q], passages[d]) for q, d in pairs]
        scores = self.model.predict(
            texts, activation_fn=torch.nn.Identity(), show_progress_bar=False
        )
        return np.asarray(scores, dtype=np.float32)


class StockColbert:
    """PyLate's ``encode`` and ``rank.rerank``, query by query."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.model = models.ColBERT(str(folder), device="cpu", **options)
        self.model.default_prompt_name = None

    def score_pairs(
        self, queries: Texts, passages: Texts, pairs: Pairs, progress: bool = False
    ) -> Scores:
        """Score the passages of each query."""
        found: dict[tuple[str, str], float] = {}
        for query_id in dict.fromkeys(query_id for query_id, _ in pairs):
            ids = [doc_id for q, doc_id in pairs if q == query_id]
            texts = [passages[doc_id] for doc_id in ids]
            asked = self.model.encode([queries[query_id]], is_query=True, show_progress_bar=False)
            encoded = self.model.encode(texts, is_query=False, show_progress_bar=False)
            (ranked,) = rank.rerank(
                documents_ids=[ids], queries_embeddings=asked, documents_embeddings=[encoded]
            )
            found |= {(query_id, hit["id"]): float(hit["score"]) for hit in ranked}
        return np.array([found[pair] for pair in pairs], dtype=np.float32)


def evaluate(
    model: Scorer | None,
    searches: Searches,
    embedder: Embedder,
    queries: Texts,
    config: EvalConfig,
) -> Rankings:
    """Ask LanceDB for each query, search and cutoff, as the published study does."""
    found = {}
    for query, text in queries.items():
        for search in SEARCHES:
            for k in config.top_k:
                served = LanceReranker(model, top_k=k, depth=config.rerank_depth(k))
                vector = embedder.encode_queries([text])[0]
                rows = searches.reranked(search, text, vector, served).to_arrow()
                found[search, k, query] = rows["id"].to_pylist()
    return found


def train_cross_encoder(
    model: CrossEncoder, rows: Iterable[TrainingExample], batch_size: int, rate: float, seed: int
) -> list[float]:
    """Train an epoch with the trainer's defaults; returns the losses."""
    with TemporaryDirectory() as folder:
        arguments = CrossEncoderTrainingArguments(**_arguments(folder, batch_size, rate, seed))
        trainer = CrossEncoderTrainer(
            model=model, args=arguments, train_dataset=_dataset(rows), loss=LceLoss(model)
        )
        return _trained(trainer)


def train_colbert(
    model: models.ColBERT,
    rows: Iterable[TrainingExample],
    batch_size: int,
    rate: float,
    seed: int,
) -> list[float]:
    """Train an epoch with the trainer's defaults; returns the losses."""
    with TemporaryDirectory() as folder:
        arguments = SentenceTransformerTrainingArguments(
            **_arguments(folder, batch_size, rate, seed)
        )
        trainer = SentenceTransformerTrainer(
            model=model,
            args=arguments,
            train_dataset=_dataset(rows),
            loss=losses.Contrastive(model),
            data_collator=utils.ColBERTCollator(model.tokenize),
        )
        return _trained(trainer)


def _arguments(folder: str, batch_size: int, rate: float, seed: int) -> dict[str, Any]:
    return {
        "output_dir": folder,
        "num_train_epochs": 1,
        "per_device_train_batch_size": batch_size,
        "learning_rate": rate,
        "warmup_steps": 0.1,
        "seed": seed,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
    }


def _dataset(rows: Iterable[TrainingExample]) -> Dataset:
    return Dataset.from_list(
        [
            {"query": row.query, "positive": row.positive}
            | {f"negative_{n}": text for n, text in enumerate(row.negatives)}
            for row in rows
        ]
    )


def _trained(trainer: Any) -> list[float]:
    """Train without a printed line per step; returns the losses."""
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
