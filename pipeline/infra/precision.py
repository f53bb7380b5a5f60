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
from dataclasses import replace
from pathlib import Path

import torch

from pipeline.config.saved_models import read_json, transformer_folder
from pipeline.infra.code_version import code_version
from pipeline.infra.hardware import Hardware, vector_instructions
from pipeline.infra.layer_speed import Batch, Sizes, measured_speedup
from pipeline.infra.stage_cache import StageCache

log = logging.getLogger(__name__)

WORTH = 1.3  # times as fast as fp32 a half precision must be; below it is a near tie
LAYER_FLOPS = 1e10  # of one pass over the timed layer on a CPU; larger batches are cut
FILE = "precision.json"


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
        trains_in = hardware.training_precision or hardware.precision
        return replace(hardware, training_precision=trains_in)
    half, sizes = _half_precision(hardware.device), sizes_of(model)
    if half is None or sizes is None:
        return replace(hardware, precision="fp32", training_precision="fp32")

    def choose(batch: Batch, trains: bool) -> str:
        reduced = _reduced(batch, sizes, hardware.device, trains)
        return _faster(half, _kept(hardware, half, sizes, reduced, trains, cache))

    scores_in = choose(scoring, False)
    trains_in = choose(training, True) if training else scores_in
    return replace(hardware, precision=scores_in, training_precision=trains_in)


def sizes_of(model: Path) -> Sizes | None:
    """Read the sizes of the transformer in the folder; None if it names none."""
    config = read_json(transformer_folder(model) / "config.json")
    hidden = config.get("hidden_size") or config.get("n_embd") or config.get("d_model")
    heads = config.get("num_attention_heads") or config.get("n_head")
    heads = heads or config.get("encoder_attention_heads")
    if not hidden or not heads or hidden % heads:
        return None
    inner = config.get("intermediate_size") or config.get("n_inner")
    return Sizes(hidden, heads, inner or config.get("encoder_ffn_dim") or 4 * hidden)


def _faster(half: str, speedup: float) -> str:
    return half if speedup >= WORTH else "fp32"


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
        log.info(
            "precision: %s for %s of %d x %d tokens, %d wide (%s runs at %.2fx the speed of fp32)",
            _faster(half, speedup),
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
        kept = json.loads((cache.get("precision", inputs, build, quick=True) / FILE).read_text())
    except OSError as error:  # To score a text must not need a writable folder.
        log.debug("precision: not kept: %s", error)
        return measure()
    return float(kept["speedup"])
