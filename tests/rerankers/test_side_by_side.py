"""Scores are the same whether batches are computed one by one or side by side."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.config.models import ArchConfig, ColbertConfig, CrossEncoderConfig, EmbedderConfig
from pipeline.infra.hardware import Hardware
from pipeline.rerankers import load_reranker
from pipeline.retrieval.embedder import Embedder
from tests.odd_models import bi_encoder, encoder

TEXT = "merges the other config into this one and draws a graph with a layout of its nodes"
WORDS = TEXT.split()
PASSAGES = {f"d{n}": " ".join(WORDS[n % 5 : 3 + n]) for n in range(3, 26)}  # of 3 to 16 words
QUERIES = {"q": "merge two configurations", "r": "draw the nodes of a graph"}


def machines(precision: str) -> list[Hardware]:
    return [Hardware("cpu", precision, threads, "test") for threads in (1, 2, 4)]


@pytest.fixture(autouse=True)
def _threads() -> object:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(
    "arch",
    [
        CrossEncoderConfig(name="cross_encoder", max_length=32),
        ColbertConfig(name="colbert", document_length=32, query_length=16, embedding_size=8),
    ],
    ids=lambda arch: arch.name,
)
def test_scores_of_a_reranker(arch: ArchConfig, precision: str, tmp_path: Path) -> None:
    base = encoder(tmp_path, labels=1 if arch.name == "cross_encoder" else None)
    pairs = [(query, passage) for passage in PASSAGES for query in QUERIES]
    found = []
    for machine in machines(precision):
        reranker = load_reranker(base, arch, machine, 4, seed=3)
        assert reranker is not None
        for _ in range(3):  # Threads take other batches each time.
            found.append(reranker.score_pairs(QUERIES, PASSAGES, pairs))
    one = found[0]
    assert len(set(one.tolist())) > 30
    assert all(
        np.allclose(other, one, atol=1e-5 if precision == "fp32" else 0.05) for other in found
    )


def test_vectors_of_an_embedder(tmp_path: Path) -> None:
    config = EmbedderConfig(name="e", path=str(bi_encoder(tmp_path)), max_length=32, batch_size=4)
    texts = list(PASSAGES.values())
    one, *others = (Embedder(config, m).encode_passages(texts) for m in machines("fp32"))
    assert one.shape == (len(texts), 32) and one.dtype == np.float32
    assert all(np.allclose(other, one, atol=1e-6) for other in others)
    assert Embedder(config, machines("fp32")[1]).encode_queries([]).shape == (0, 32)
