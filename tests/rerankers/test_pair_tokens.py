"""Pairs joined from the tokens of their texts are those that the tokenizer makes of the pairs."""

from typing import Any

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from pipeline.infra.model_files import prepare_base
from pipeline.infra.stage_cache import StageCache
from pipeline.rerankers.pair_tokens import PairTexts, PairTokens
from tests.conftest import Compose

QUERIES = {"short": "graph", "empty": "", "long": "a layout of everything, café \u200b " * 9}
PASSAGES = {
    "short": "Draws a graph.",
    "empty": "",
    "blank": " \n ",
    "long": "antidisestablishmentarianism, " * 40,
    "han": "重排序模型" * 30,
    "emoji": "\U0001f600\u00e9 caf\u00e9\n\n " * 20,
    "special": "[SEP] not a token [CLS] of its own [MASK]",
}
PAIRS = [(query, passage) for query in QUERIES for passage in PASSAGES]


def two_separators() -> Any:
    """A tokenizer as RoBERTa has it: two tokens between the texts, and no types of tokens."""
    words = ["<s>", "</s>", "<pad>", "<unk>", "graph", "draws", "a", "b", ".", ","]
    backend = Tokenizer(WordLevel({word: n for n, word in enumerate(words)}, unk_token="<unk>"))
    backend.pre_tokenizer = Whitespace()
    backend.post_processor = TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 1)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        model_input_names=["input_ids", "attention_mask"],
    )


@pytest.fixture(params=["minilm_l3", "modernbert_tiny", "two separators"])
def tokenizer(request: pytest.FixtureRequest, small: Compose) -> Any:
    if request.param == "two separators":
        return two_separators()
    config = small(f"base={request.param}")
    folder = prepare_base(config.base, StageCache.of(config))
    return AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("max_length", [7, 24, 25, 128])
def test_pairs_have_the_tokens_of_the_tokenizer(tokenizer: Any, max_length: int, side: str) -> None:
    tokenizer.truncation_side = tokenizer.padding_side = side
    joined = PairTokens(tokenizer, max_length, QUERIES, PASSAGES)
    whole = PairTexts(tokenizer, max_length, QUERIES, PASSAGES)
    for pairs in (PAIRS, *([pair] for pair in PAIRS)):
        expected, found = whole.features(pairs), joined.features(pairs)
        assert set(found) == set(expected) == set(tokenizer.model_input_names)
        for name, tensor in expected.items():
            assert found[name].tolist() == tensor.tolist(), (name, pairs)
    PairTokens(tokenizer, max_length, QUERIES, PASSAGES).features(PAIRS[:1])
    assert tokenizer.backend_tokenizer.padding is None  # which is saved with a model
    assert tokenizer.backend_tokenizer.truncation is None


def test_pairs_are_counted_as_they_are_read(tokenizer: Any) -> None:
    joined = PairTokens(tokenizer, 24, QUERIES, PASSAGES)
    assert joined.length("empty", "empty") == 0
    assert joined.length("short", "short") == len(tokenizer.tokenize("graph Draws a graph."))
    assert joined.length("long", "long") == 24
