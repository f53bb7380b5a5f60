"""Tiny models of the kinds that users bring: decoders, other heads, half-precision weights."""

import json
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Pooling, Transformer
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    CanineConfig,
    CanineModel,
    CanineTokenizer,
    GPT2Config,
    GPT2Model,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForSequenceClassification,
    Qwen2Model,
    set_seed,
)

from pipeline.infra.model_files import TINY_TOKENIZER, locate

WORDS = "merges the other configuration into this one draws a graph with layout tea kettle"
END, END_ID = "<|endoftext|>", 1  # as in real models, a word's piece may have the number 0


def encoder(folder: Path, dtype: torch.dtype = torch.float32, labels: int | None = None) -> Path:
    """A BERT of 32 dimensions that reads 64 tokens, with a head for ``labels`` or without one."""
    set_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(locate("base.path", TINY_TOKENIZER))
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=64,
    )
    if labels is None:
        model = BertModel(config)
    else:
        config.num_labels = labels
        model = BertForSequenceClassification(config)
    model.to(dtype).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def bi_encoder(folder: Path, dtype: torch.dtype = torch.float32, **saved: object) -> Path:
    """The BERT of ``encoder`` as an embedder below ``folder``; ``saved`` changes its settings."""
    transformer = Transformer(str(encoder(folder / "plain", dtype)))
    pooling = Pooling(transformer.get_word_embedding_dimension())
    SentenceTransformer(modules=[transformer, pooling]).save(str(folder / "embedder"))
    file = folder / "embedder" / "config_sentence_transformers.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | saved))
    return folder / "embedder"


def decoder(folder: Path, kind: str) -> Path:
    """A decoder without a padding token: ``gpt2``, ``qwen2`` or ``qwen2_scorer`` with a head."""
    set_seed(0)
    tokenizer = _byte_pairs()
    size, ends = len(tokenizer), dict.fromkeys(("bos_token_id", "eos_token_id"), END_ID)
    if kind == "gpt2":
        shape = {"n_embd": 32, "n_layer": 1, "n_head": 2, "n_positions": 64}
        model = GPT2Model(GPT2Config(vocab_size=size, **shape, **ends))
    else:
        config = Qwen2Config(
            vocab_size=size,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=64,
            num_labels=1,
            **ends,
        )
        scores = kind == "qwen2_scorer"
        model = Qwen2ForSequenceClassification(config) if scores else Qwen2Model(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def canine(folder: Path) -> Path:
    """A CANINE, whose tokenizer is written in Python and does not say where its tokens are."""
    set_seed(0)
    config = CanineConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64
    )
    CanineModel(config).save_pretrained(folder)
    CanineTokenizer(model_max_length=64).save_pretrained(folder)
    return folder


def _byte_pairs() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<unused>", END]
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
    tokenizer.train_from_iterator([WORDS] * 4, trainer)
    names = ["input_ids", "attention_mask"]
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, model_input_names=names
    )
