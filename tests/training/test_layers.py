"""Dropout and attention while a model trains: as asked within the block, as before after it."""

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from pipeline.training.layers import dropout, plain_attention


@pytest.fixture
def model() -> BertForSequenceClassification:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
    config = BertConfig(vocab_size=50, num_hidden_layers=2, num_labels=1, **sizes)
    model: BertForSequenceClassification = BertForSequenceClassification(config).train()
    return model


def logits(model: BertForSequenceClassification) -> torch.Tensor:
    """Read two texts, one of them shorter than the other."""
    ids = torch.tensor([[1, 2, 3, 4], [5, 6, 0, 0]])
    read: torch.Tensor = model(input_ids=ids, attention_mask=(ids > 0).long()).logits
    return read.detach()


def test_without_dropout_a_training_model_reads_the_same_twice(
    model: BertForSequenceClassification,
) -> None:
    assert not torch.equal(logits(model), logits(model))
    with dropout(model, 0.0):
        within = logits(model)
        assert torch.equal(within, logits(model))
    assert torch.equal(within, logits(model.eval()))
    model.train()
    assert not torch.equal(logits(model), logits(model))


@pytest.mark.parametrize(("share", "expected"), [(None, 0.1), (0.5, 0.5)])
def test_a_share_is_that_of_all_layers(
    model: BertForSequenceClassification, share: float | None, expected: float
) -> None:
    layers = [layer for layer in model.modules() if isinstance(layer, torch.nn.Dropout)]
    with dropout(model, share):
        assert {layer.p for layer in layers} == {expected}
    assert layers and {layer.p for layer in layers} == {0.1}


def test_plain_attention_gives_the_same_scores(model: BertForSequenceClassification) -> None:
    model.eval()
    before = logits(model)
    with plain_attention(model, wanted=True):
        assert model.config._attn_implementation == "eager"
        assert torch.allclose(logits(model), before, atol=1e-6)
    assert model.config._attn_implementation == "sdpa"
    with plain_attention(model, wanted=False):
        assert model.config._attn_implementation == "sdpa"
