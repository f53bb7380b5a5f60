"""Low-rank adapters, for bases that are too large to train in full."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def adapters(holder: torch.nn.Module, attribute: str, rank: int | None) -> Iterator[None]:
    """Train adapters on all linear layers of ``holder.attribute`` in the block, then merge them.

    LoRA (Hu et al. 2021) by PEFT, scaled by 2: the weights of the transformer stay fixed. With
    ``rank`` None nothing changes.
    """
    if rank is None:
        yield
        return
    from peft import LoraConfig, get_peft_model

    transformer = getattr(holder, attribute)
    layers = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear")
    adapted = get_peft_model(transformer, layers)
    setattr(holder, attribute, adapted)
    try:
        yield
    finally:
        setattr(holder, attribute, adapted.merge_and_unload())
