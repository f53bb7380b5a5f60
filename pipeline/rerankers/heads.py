"""What a cross-encoder adds to its base: the classification head, and padding where none is set."""

import logging
from pathlib import Path

import torch
from sentence_transformers import CrossEncoder
from transformers import PreTrainedModel

from pipeline.records import InputError

log = logging.getLogger(__name__)

HEADS = ("classifier", "score", "classification_head")
"""What transformers calls the last layers: of encoders, of decoders, of BART."""

POOLER = "pooler"
"""What BERT calls the layer before its classifier; it belongs to the encoder.

An embedder that takes the mean over tokens has one, too, but never trained it.
"""


def behind_encoder(model: PreTrainedModel) -> dict[str, torch.nn.Module]:
    """Return the layers that follow the encoder by name, as ``head`` and ``classifier``."""
    return {n: layer for n, layer in model.named_children() if n != model.base_model_prefix}


def head_weights(model: PreTrainedModel) -> str:
    """Return a regular expression for the weights that the base lacks or never trained."""
    return rf"\b({'|'.join([*behind_encoder(model), POOLER])})\."


def head_of(model: torch.nn.Module) -> torch.nn.Module:
    """Find the layers that turn the encoded pair into a score.

    Raises:
        InputError: the model has none of the known names.
    """
    for name in HEADS:
        if isinstance(head := getattr(model, name, None), torch.nn.Module):
            return head
    raise InputError(
        f"arch=cross_encoder: {type(model).__name__} has no head called {', '.join(HEADS)}; use "
        "another base or arch=colbert"
    )


def ensure_padding(model: CrossEncoder, folder: Path) -> None:
    """Pad with the end-of-text token if the model has no padding token, as decoders have none.

    Raises:
        InputError: its tokenizer has neither.
    """
    tokenizer = model.tokenizer
    if tokenizer.pad_token is None:
        if tokenizer.eos_token is None:
            raise InputError(
                f"{folder}: its tokenizer has neither a padding token nor an end-of-text token, so "
                "texts can't be scored together; save it with a pad_token"
            )
        tokenizer.pad_token = tokenizer.eos_token
        log.debug("%s: padded with %r", folder, tokenizer.pad_token)
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id


def compute_in_fp32(head: torch.nn.Module) -> None:
    """Take ``head`` out of autocast, without a wrapper that would rename its weights."""
    forward = head.forward

    def in_fp32(hidden: torch.Tensor) -> torch.Tensor:
        with torch.autocast(hidden.device.type, enabled=False):
            logits: torch.Tensor = forward(hidden.float())
        return logits

    head.forward = in_fp32
