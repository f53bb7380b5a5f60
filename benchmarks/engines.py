"""Compare torch and OpenVINO at scoring pairs with a trained cross-encoder.

    uv pip install openvino==2026.4.1
    python benchmarks/engines.py outputs/cache/model/KEY/model

OpenVINO is no dependency of the project, as docs/recipe.md explains by these figures. The engines
take turns in one process. Prints pairs per second, the largest difference of a logit to that of
torch in fp32, and Kendall's tau to its order of each query's passages, as a Markdown table.
"""

import contextlib
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import fmean, median

import numpy as np
import openvino
import torch
from scipy.stats import kendalltau
from sentence_transformers import CrossEncoder

from pipeline import data
from pipeline.config.compose import compose
from pipeline.config.stages import HardwareConfig
from pipeline.infra.hardware import resolve
from pipeline.infra.stage_cache import StageCache

QUERIES, PASSAGES = 40, 20  # each query with other passages
BATCH = 32
ROUNDS = 5
Logits = np.ndarray[tuple[int], np.dtype[np.float32]]


def pairs() -> list[tuple[str, str]]:
    """Queries and passages of pydocs, longest pairs first."""
    config = compose([])
    dataset = data.load(config.dataset, StageCache(Path(config.output_dir) / "cache"))
    passages = iter(dataset.corpus.values())
    queries = list(dataset.test.queries.values())[:QUERIES]
    return [(query, next(passages)) for query in queries for _ in range(PASSAGES)]


def by_torch(model: torch.nn.Module, batches: list[dict[str, torch.Tensor]], half: bool) -> Logits:
    """Score with torch in fp32, or under bf16 autocast."""
    precision = torch.autocast("cpu", torch.bfloat16) if half else contextlib.nullcontext()
    with torch.inference_mode(), precision:
        return np.concatenate([model(**batch).logits.float().numpy()[:, 0] for batch in batches])


def by_openvino(
    model: torch.nn.Module, batches: list[dict[str, torch.Tensor]], hint: str
) -> Callable[[], Logits]:
    """Convert the model, with a hint for the precision."""
    names = sorted(batches[0])
    with torch.inference_mode():
        converted = openvino.convert_model(model, example_input=dict(batches[0]))
    options = {
        "INFERENCE_PRECISION_HINT": hint,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    compiled = openvino.Core().compile_model(converted, "CPU", options)
    order = [port.any_name for port in compiled.inputs]
    assert sorted(order) == names
    return lambda: np.concatenate(
        [compiled([batch[name].numpy() for name in order])[0][:, 0] for batch in batches]
    )


def main(folder: Path) -> None:
    """Print the table for the model in ``folder``."""
    encoder = CrossEncoder(str(folder), device="cpu", max_length=128)
    model, texts = encoder.model.eval(), pairs()
    order = sorted(range(len(texts)), key=lambda i: -len(texts[i][0]) - len(texts[i][1]))
    batches = [
        dict(
            encoder.tokenizer(
                [texts[i] for i in order[start : start + BATCH]],
                padding=True,
                truncation=True,
                max_length=128,
                return_tensors="pt",
            )
        )
        for start in range(0, len(order), BATCH)
    ]
    start = time.perf_counter()
    engines: dict[str, Callable[[], Logits]] = {
        "torch fp32": partial(by_torch, model, batches, False),
        "torch bf16": partial(by_torch, model, batches, True),
        "OpenVINO fp32": by_openvino(model, batches, "f32"),
        "OpenVINO bf16": by_openvino(model, batches, "bf16"),
    }
    converted = (time.perf_counter() - start) / 2
    logits = {name: score() for name, score in engines.items()}
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(ROUNDS):
        for name, score in engines.items():
            start = time.perf_counter()
            score()
            seconds[name].append(time.perf_counter() - start)
    print(
        f"{resolve(HardwareConfig()).name}, {torch.get_num_threads()} threads; "
        f"converting a model took {converted:.0f} s\n"
    )
    print("| engine | pairs/s | largest difference | Kendall's tau |")
    print("| --- | ---: | ---: | ---: |")
    reference = np.empty(len(order))
    reference[order] = logits["torch fp32"]
    for name in engines:
        found = np.empty(len(order))
        found[order] = logits[name]
        tau = fmean(
            kendalltau(a, b).statistic
            for a, b in zip(found.reshape(QUERIES, -1), reference.reshape(QUERIES, -1), strict=True)
        )
        speed = len(order) / median(seconds[name])
        difference = abs(found - reference).max()
        print(f"| {name} | {speed:.0f} | {difference:.1g} | {tau:.3f} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
