"""Which weights of a cross-encoder are new, and learn at the rate of the head."""

import re

from transformers import BertConfig, BertForSequenceClassification

from pipeline.rerankers.heads import HEAD_WEIGHTS


def test_the_head_of_bert_is_its_classifier_and_its_pooler() -> None:
    sizes = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
    config = BertConfig(vocab_size=50, num_hidden_layers=1, num_labels=1, **sizes)
    names = [name for name, _ in BertForSequenceClassification(config).named_parameters()]
    assert [name for name in names if re.search(HEAD_WEIGHTS, name)] == [
        "bert.pooler.dense.weight",
        "bert.pooler.dense.bias",
        "classifier.weight",
        "classifier.bias",
    ]
