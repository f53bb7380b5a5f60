"""Batches of a ColBERT's training end with their longest text, and train as PyLate's do."""

from typing import Any

import pytest
import torch
from pylate.losses import Contrastive
from pylate.utils import ColBERTCollator

from pipeline.infra.hardware import Hardware
from pipeline.rerankers.colbert import ColbertReranker
from pipeline.rerankers.collator import ShortCollator
from tests.conftest import Compose, Saved

ROWS = [
    {"query": "merge", "positive": "Merges two.", "negative_1": "Pops.", "label": 0},
    {"query": "draw a graph", "positive": "Draws.", "negative_1": "Loads a file.", "label": 1},
]


def reranker(small: Compose, saved: Saved, machine: Hardware, *words: str) -> ColbertReranker:
    config = small("arch=colbert", *words).arch
    return ColbertReranker(saved("colbert"), config, machine, 32)  # type: ignore[arg-type]


def shapes(batch: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in batch.items() if name.endswith("_ids")}


def test_columns_end_with_their_longest_text(
    small: Compose, saved: Saved, machine: Hardware
) -> None:
    model = reranker(small, saved, machine).model
    long = shapes(ColBERTCollator(model.tokenize)(ROWS))
    short = shapes(ShortCollator(model.tokenize, expands_queries=False)(ROWS))
    assert long["query_input_ids"] == (2, 96)
    # [CLS], the marker of a query, 3 words, [SEP]
    assert short["query_input_ids"] == (2, 6)
    # [CLS], the marker of a passage, "loads", "a", "file", ".", [SEP]: both columns
    assert short["positive_input_ids"] == short["negative_1_input_ids"] == (2, 7)


def test_the_padding_that_expands_queries_stays(
    small: Compose, saved: Saved, machine: Hardware
) -> None:
    model = reranker(small, saved, machine, "arch.query_expansion=true").model
    batch = shapes(ShortCollator(model.tokenize, model.do_query_expansion)(ROWS))
    assert batch["query_input_ids"] == (2, 96)
    assert batch["positive_input_ids"] == (2, 7)


@pytest.mark.parametrize("expansion", ["true", "false"])
def test_the_loss_and_its_gradient_are_those_of_the_longer_batch(
    small: Compose, saved: Saved, machine: Hardware, expansion: str
) -> None:
    model = reranker(small, saved, machine, f"arch.query_expansion={expansion}").model.eval()
    loss = Contrastive(model)
    found = []
    for collate in (
        ColBERTCollator(model.tokenize),
        ShortCollator(model.tokenize, model.do_query_expansion),
    ):
        batch = collate(ROWS)
        columns = ["query", "positive", "negative_1"]
        features = [
            {name: batch[f"{column}_{name}"] for name in ("input_ids", "attention_mask")}
            for column in columns
        ]
        model.zero_grad()
        value = loss(features, batch["label"])
        value.backward()
        found.append((value.detach(), model[1].linear.weight.grad.clone()))
    (long, long_gradient), (short, short_gradient) = found
    assert torch.isclose(long, short, atol=1e-5)
    assert torch.allclose(long_gradient, short_gradient, atol=1e-5)
    assert long_gradient.abs().max() > 1e-3
