"""FLOPs of a pair by hand, and texts that fill what the model reads."""

import pytest
from transformers import AutoTokenizer

from benchmarks.bench.roofline import flops_a_pair, sample, tokens
from pipeline.config import Config
from pipeline.config.compose import compose
from pipeline.config.transformer import Transformer
from pipeline.infra.model_files import TINY_TOKENIZER, locate

# 2 layers, each with 4 x 10 x 10 weights of attention and 2 x 10 x 40 of feed-forward: 2,400
MODEL = Transformer(
    layers=2, hidden=10, intermediate=40, queries=10, keys=10, gated=False, embedded=100
)


def point(arch: str) -> Config:
    lengths = {
        "cross_encoder": ["arch.max_length=20", "arch.training_max_length=10"],
        "colbert": [
            "arch.query_length=10",
            "arch.document_length=20",
            "arch.training_document_length=10",
        ],
    }
    return compose([f"arch={arch}", "negatives=3", "train.batch_size=2", *lengths[arch]])


def read(length: int) -> int:
    """FLOPs of reading a text: 2 x 2,400 per token, and 4 x 2 layers x length x 10 of attention."""
    return length * (4_800 + 80 * length)


def test_flops_of_a_cross_encoder_are_those_of_the_pair() -> None:
    config = point("cross_encoder")
    assert flops_a_pair(config, MODEL, 64, trains=False) == read(20)
    assert flops_a_pair(config, MODEL, 64, trains=True) == 3 * read(10)


def test_a_colbert_reads_a_query_once_for_its_passages() -> None:
    config = point("colbert")
    assert flops_a_pair(config, MODEL, 64, trains=False) == pytest.approx(read(20) + read(10) / 64)
    # In training a query has a relevant passage and 3 negatives.
    assert flops_a_pair(config, MODEL, 64, trains=True) == pytest.approx(
        3 * (read(10) + read(10) / 4)
    )


@pytest.mark.parametrize("arch", ["cross_encoder", "colbert"])
def test_texts_are_longer_than_the_model_reads(arch: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(locate("base.path", TINY_TOKENIZER))
    config = point(arch)
    made = sample(config, 5)
    assert (tokens(config, trains=True), tokens(config, trains=False)) == (10, 20)
    assert len(made.examples) == 6 * 2
    assert {len(row.negatives) for row in made.examples} == {3}
    texts = {text for row in made.examples for text in (row.positive, *row.negatives)}
    assert len(texts) == 6 * 2 * 4  # No text is another row's negative and its relevant passage.
    assert min(len(tokenizer(text)["input_ids"]) for text in texts) > 20
    if arch == "colbert":
        assert len(tokenizer(made.queries[0])["input_ids"]) > 10
