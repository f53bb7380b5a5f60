"""Choose the precision of a model by measuring, and keep the answer per kind of machine.

Processor flags do not tell: on a Xeon with avx512_bf16 but without AMX, bf16 takes twice as long as
fp32, and on one with AMX a third of the time. So ``hardware.precision=auto`` times one transformer
layer of the model's sizes in fp32 and in a half precision, for scoring and for training apart.

The time is that of one thread. How the precisions compare is a property of the core, and so points
with other numbers of threads, in a sweep or on resuming it, find the same answer. The answer is a
folder of the stage cache, found by processor, torch version and sizes. Virtual machines of several
processors share a name, so the vector instructions are a part of it.
"""

import json
import logging
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch.nn import functional

from pipeline.config.models import ArchConfig, ColbertConfig, CrossEncoderConfig
from pipeline.infra.code_version import code_version
from pipeline.infra.hardware import Hardware, autocast, synchronize, vector_instructions
from pipeline.infra.stage_cache import StageCache

log = logging.getLogger(__name__)

WORTH = 1.3  # times as fast as fp32 a half precision must be; below it is a near tie
LAYER_FLOPS = 1e10  # of one pass over the timed layer on a CPU; larger batches are cut
DROPOUT = 0.1  # in training, as in BERT; on a CPU it takes a good part of a step
ROUNDS = 15  # timed per precision, in turns; the fastest counts, as other work only delays
SECONDS = 1.5  # after which no further round starts
FILE = "precision.json"


class Batch(NamedTuple):
    """What a model reads at a time: ``texts`` of ``tokens`` each."""

    texts: int
    tokens: int


class Sizes(NamedTuple):
    """Of a transformer layer."""

    hidden: int
    heads: int
    intermediate: int


def scored_at_a_time(arch: ArchConfig, texts: int) -> Batch:
    """What a reranker of ``arch`` reads in a forward pass over ``texts`` pairs or passages."""
    if isinstance(arch, CrossEncoderConfig):
        return Batch(texts, arch.max_length)
    return Batch(texts, arch.document_length if isinstance(arch, ColbertConfig) else 1)


def trained_at_a_time(arch: ArchConfig, texts: int) -> Batch:
    """What a reranker of ``arch`` reads in a training step over ``texts`` pairs or passages."""
    shorter = None
    if isinstance(arch, CrossEncoderConfig):
        shorter = arch.training_max_length
    elif isinstance(arch, ColbertConfig):
        shorter = arch.training_document_length
    return Batch(texts, shorter) if shorter else scored_at_a_time(arch, texts)


def settled(
    hardware: Hardware,
    model: Path,
    scoring: Batch,
    training: Batch | None = None,
    cache: StageCache | None = None,
) -> Hardware:
    """Replace the precision "auto" by the one that is fastest for the model in the folder.

    ``training`` is None if nothing is trained. Without ``cache`` the answer is not kept.
    """
    if hardware.precision != "auto":
        return replace(hardware, training_precision=hardware.precision)
    half, sizes = _half_precision(hardware.device), sizes_of(model)
    if half is None or sizes is None:
        return replace(hardware, precision="fp32", training_precision="fp32")

    def choose(batch: Batch, trains: bool) -> str:
        reduced = _reduced(batch, sizes, hardware.device, trains)
        speedup = _kept(hardware, half, sizes, reduced, trains, cache)
        return half if speedup >= WORTH else "fp32"

    scores_in = choose(scoring, False)
    trains_in = choose(training, True) if training else scores_in
    return replace(hardware, precision=scores_in, training_precision=trains_in)


def sizes_of(model: Path) -> Sizes | None:
    """Read the sizes of the transformer in the folder; None if it names none."""
    file = model / "config.json"
    config = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    hidden = config.get("hidden_size") or config.get("n_embd") or config.get("d_model")
    heads = config.get("num_attention_heads") or config.get("n_head")
    heads = heads or config.get("encoder_attention_heads")
    if not hidden or not heads or hidden % heads:
        return None
    inner = config.get("intermediate_size") or config.get("n_inner")
    return Sizes(hidden, heads, inner or config.get("encoder_ffn_dim") or 4 * hidden)


def _half_precision(device: str) -> str | None:
    """The half precision that the device may be faster in; None if fp32 is all there is."""
    if device == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16"
        return "fp16" if torch.cuda.get_device_capability() >= (7, 0) else None
    return "bf16" if device == "cpu" else None


def _reduced(batch: Batch, sizes: Sizes, device: str, trains: bool) -> Batch:
    """Cut the batch so that a CPU needs two seconds at most for all rounds.

    Below some 1,000 tokens the casts of the weights would weigh more than in a real step.
    """
    if device == "cuda":
        return batch
    per_token = 2 * (4 * sizes.hidden**2 + 2 * sizes.hidden * sizes.intermediate)
    affordable = LAYER_FLOPS / (per_token * batch.tokens * (3 if trains else 1))
    return batch._replace(texts=max(1, min(batch.texts, math.floor(affordable))))


def _kept(
    hardware: Hardware,
    half: str,
    sizes: Sizes,
    batch: Batch,
    trains: bool,
    cache: StageCache | None,
) -> float:
    """How many times as fast as fp32 the half precision is, measured once per kind of machine."""
    work = "training" if trains else "scoring"

    def measure() -> float:
        speedup = measured_speedup(hardware.device, half, sizes, batch, trains)
        chosen = half if speedup >= WORTH else "fp32"
        log.info(
            "precision: %s for %s of %d x %d tokens, %d wide (%s runs at %.2fx the speed of fp32)",
            chosen,
            work,
            batch.texts,
            batch.tokens,
            sizes.hidden,
            half,
            speedup,
        )
        return speedup

    if cache is None:
        return measure()
    inputs = {
        "device": hardware.device,
        "processor": hardware.name,
        "instructions": vector_instructions() if hardware.device == "cpu" else [],
        "half": half,
        "sizes": sizes._asdict(),
        "batch": batch._asdict(),
        "work": work,
        "code": code_version("precision"),
    }

    def build(folder: Path) -> None:
        (folder / FILE).write_text(json.dumps({"speedup": round(measure(), 2)}))

    try:
        kept = json.loads((cache.get("precision", inputs, build) / FILE).read_text())
    except OSError as error:  # To score a text must not need a writable folder.
        log.debug("precision: not kept: %s", error)
        return measure()
    return float(kept["speedup"])


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
    """Time the layer in each precision, in turns; return the best time of each."""
    device = hidden.device.type
    run = _seconds_to_train if trains else _seconds_to_score
    best = dict.fromkeys(precisions, math.inf)
    start = _clock(device)
    for number in range(1 + ROUNDS):  # The first round warms up.
        for precision in best:
            seconds = run(layer, hidden, precision)
            if number:
                best[precision] = min(best[precision], seconds)
        if number and _clock(device) - start > SECONDS:
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
        read = functional.scaled_dot_product_attention(query, key, value, dropout_p=dropped)
        read = self.out(read.transpose(1, 2).reshape(hidden.shape))
        hidden = self.norms[0](hidden + functional.dropout(read, dropped, self.training))
        read = self.down(functional.gelu(self.up(hidden)))
        normed: torch.Tensor = self.norms[1](
            hidden + functional.dropout(read, dropped, self.training)
        )
        return normed


def _clock(device: str) -> float:
    """Seconds; on a CPU those of this process alone, so that other work does not count."""
    synchronize(device)
    return time.process_time() if device == "cpu" else time.perf_counter()


def _seconds_to_score(layer: _Layer, hidden: torch.Tensor, precision: str) -> float:
    device = hidden.device.type
    with torch.inference_mode(), autocast(device, precision):
        layer(hidden)  # Autocast keeps the weights that it casts here.
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
