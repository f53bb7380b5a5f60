"""Which weights of a cross-encoder are new, and learn at the rate of the head."""

import re

from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    PreTrainedModel,
)

from pipeline.rerankers.heads import head_weights


def new_weights(model: PreTrainedModel) -> list[str]:
    names = [name for name, _ in model.named_parameters()]
    return [name for name in names if re.search(head_weights(model), name)]


def test_the_head_of_bert_is_its_classifier_and_its_pooler() -> None:
    sizes = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
    config = BertConfig(vocab_size=50, num_hidden_layers=1, num_labels=1, **sizes)
    assert new_weights(BertForSequenceClassification(config)) == [
        "bert.pooler.dense.weight",
        "bert.pooler.dense.bias",
        "classifier.weight",
        "classifier.bias",
    ]


def test_the_head_of_distilbert_has_a_layer_before_its_classifier() -> None:
    config = DistilBertConfig(vocab_size=50, n_layers=1, dim=16, hidden_dim=32, n_heads=2)
    assert new_weights(DistilBertForSequenceClassification(config)) == [
        "pre_classifier.weight",
        "pre_classifier.bias",
        "classifier.weight",
        "classifier.bias",
    ]
