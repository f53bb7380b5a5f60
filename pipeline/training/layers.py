"""Set how a transformer's layers compute while it trains: their dropout and their attention."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers import PreTrainedModel


@contextmanager
def dropout(model: torch.nn.Module, share: float | None) -> Iterator[None]:
    """Drop ``share`` of the activations in all dropout layers within the block.

    With ``share`` None every layer keeps its own.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, torch.nn.Dropout)]
    before = [layer.p for layer in layers]
    for layer, own in zip(layers, before, strict=True):
        layer.p = own if share is None else share
    try:
        yield
    finally:
        for layer, own in zip(layers, before, strict=True):
            layer.p = own


@contextmanager
def plain_attention(model: torch.nn.Module, wanted: bool) -> Iterator[None]:
    """Compute attention by plain matrix products within the block.

    In bf16 on a CPU that is faster than torch's own attention: a little with dropout, and without
    it the gradient of torch's own takes twice as long, see benchmarks/training_step.py. Without
    ``wanted`` nothing changes.
    """
    found = (
        [part for part in model.modules() if isinstance(part, PreTrainedModel)] if wanted else []
    )
    before = [part.config._attn_implementation for part in found]
    for part in found:
        part.set_attn_implementation("eager")
    try:
        yield
    finally:
        for part, own in zip(found, before, strict=True):
            part.set_attn_implementation(own)
