"""Time one transformer layer in two precisions, for scoring and for training."""

import math
import time
from typing import NamedTuple

import torch
from torch.nn import functional

from pipeline.infra.hardware import autocast, synchronize

DROPOUT = 0.1  # in training, as in BERT; on a CPU it takes a good part of a step
ROUNDS = 15  # timed per precision, in turns; the fastest counts, as other work only delays
SECONDS = 1.0  # after which no further round starts


class Batch(NamedTuple):
    """What a model reads at a time: ``texts`` of ``tokens`` each."""

    texts: int
    tokens: int


class Sizes(NamedTuple):
    """Of a transformer layer."""

    hidden: int
    heads: int
    intermediate: int


def measured_speedup(device: str, half: str, sizes: Sizes, batch: Batch, trains: bool) -> float:
    """Time one layer in fp32 and in ``half``, in turns; return the ratio of their best times."""
    threads = torch.get_num_threads()
    gpus = [torch.cuda.current_device()] if device == "cuda" else []
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(gpus):  # The model's own weights and dropout are drawn later.
            layer = _Layer(sizes).to(device).train(trains)
            hidden = torch.randn(*batch, sizes.hidden, device=device)
            best = _best_seconds(layer, hidden, ("fp32", half), trains)
    finally:
        torch.set_num_threads(threads)
    return best["fp32"] / best[half]


def _best_seconds(
    layer: "_Layer", hidden: torch.Tensor, precisions: tuple[str, str], trains: bool
) -> dict[str, float]:
    """Time the layer in each precision, in turns; return the best time of each.

    A first round warms up. It counts if it alone takes long, as in bf16 on a CPU without it.
    """
    device = hidden.device.type
    run = _seconds_to_train if trains else _seconds_to_score
    start = _clock(device)
    best = {precision: run(layer, hidden, precision) for precision in precisions}
    if device == "cpu" and _clock(device) - start > SECONDS:
        return best  # To prepare the kernels was a small part of so long a time.
    best = dict.fromkeys(precisions, math.inf)
    start = _clock(device)
    for _ in range(ROUNDS):
        for precision in precisions:
            best[precision] = min(best[precision], run(layer, hidden, precision))
        if _clock(device) - start > SECONDS:
            break
    return best


class _Layer(torch.nn.Module):
    """A transformer layer of the usual kind, with random weights."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self._heads = sizes.heads
        self.mix = torch.nn.Linear(sizes.hidden, 3 * sizes.hidden)
        self.out = torch.nn.Linear(sizes.hidden, sizes.hidden)
        self.up = torch.nn.Linear(sizes.hidden, sizes.intermediate)
        self.down = torch.nn.Linear(sizes.intermediate, sizes.hidden)
        self.norms = torch.nn.ModuleList(torch.nn.LayerNorm(sizes.hidden) for _ in range(2))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Keep the shape (texts, tokens, hidden)."""
        texts, tokens, _ = hidden.shape
        mixed = self.mix(hidden).view(texts, tokens, 3, self._heads, -1).permute(2, 0, 3, 1, 4)
        dropped = DROPOUT if self.training else 0.0
        query, key, value = mixed
        read = self._attend(query, key, value, dropped)
        read = self.out(read.transpose(1, 2).reshape(hidden.shape))
        hidden = self.norms[0](hidden + functional.dropout(read, dropped, self.training))
        read = self.down(functional.gelu(self.up(hidden)))
        normed: torch.Tensor = self.norms[1](
            hidden + functional.dropout(read, dropped, self.training)
        )
        return normed

    def _attend(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, dropped: float
    ) -> torch.Tensor:
        """Attend as models do here, see training.layers.plain_attention."""
        if self.training and query.device.type == "cpu" and query.dtype == torch.bfloat16:
            weights = (query @ key.transpose(2, 3) / math.sqrt(query.shape[-1])).softmax(-1)
            return functional.dropout(weights, dropped).to(value.dtype) @ value
        return functional.scaled_dot_product_attention(query, key, value, dropout_p=dropped)


def _clock(device: str) -> float:
    """Seconds; on a CPU those of this process alone, so that other work does not count."""
    synchronize(device)
    return time.process_time() if device == "cpu" else time.perf_counter()


def _seconds_to_score(layer: _Layer, hidden: torch.Tensor, precision: str) -> float:
    device = hidden.device.type
    with torch.inference_mode(), autocast(device, precision):
        layer(hidden[:1])  # Autocast keeps the weights that it casts here.
        start = _clock(device)
        layer(hidden)
        return _clock(device) - start


def _seconds_to_train(layer: _Layer, hidden: torch.Tensor, precision: str) -> float:
    device = hidden.device.type
    start = _clock(device)
    with autocast(device, precision):
        read = layer(hidden)
    read.float().square().mean().backward()
    return _clock(device) - start
