"""Profile where the time of training and scoring goes, by groups of torch's operators.

    python -m benchmarks.operators

The models of ``benchmarks/bench/roofline.py`` train and score texts that are as long as they read.
Prints a Markdown table for each, in percent of the wall time. What no operator takes is tokenising
and Python. A GPU computes while the CPU prepares what follows, so there it is the time in which the
GPU waits. A CPU computes on one thread, as the profile is of the main thread alone. Other overrides
may follow the command.
"""

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch.profiler import ProfilerActivity, profile

from benchmarks.bench.roofline import SCALES, point_of, sample
from pipeline.config import Config
from pipeline.config.stages import HardwareConfig
from pipeline.experiment.precision import of_reranker
from pipeline.experiment.resources import load
from pipeline.infra import quiet
from pipeline.infra.hardware import Hardware, resolve
from pipeline.infra.model_files import prepare_base
from pipeline.infra.stage_cache import StageCache
from pipeline.training.schedule import plan
from pipeline.training.train import train

STEPS = 5  # of a training, of which the first one is not profiled
GROUPS = {  # parts of an operator's name; the first that fits counts
    "attention": ("scaled_dot_product", "softmax"),
    "layer norm": ("layer_norm",),
    "activation": ("gelu", "tanh", "silu"),
    "matrix products": ("mm", "matmul", "linear"),
    "embedding and gathering": ("embedding", "index", "gather", "segment_reduce"),
    "optimiser": ("adam", "foreach", "norm"),
    "casts and copies": ("copy", "cat", "clone", "contiguous"),
}
OTHERS = "other operators"
REST = "rest"  # what no operator takes
ON_CPU, ON_GPU = "tokenising and Python", "waiting for the CPU"
ACTIVITIES = {
    "cpu": [ProfilerActivity.CPU],
    "cuda": [ProfilerActivity.CPU, ProfilerActivity.CUDA],
}


def main(overrides: list[str]) -> None:
    """Print a table for each architecture."""
    quiet.silence()
    device = resolve(HardwareConfig()).device
    scale, threads = SCALES[device], ["hardware.threads=1"] if device == "cpu" else []
    for arch, base in product(("cross_encoder", "colbert"), scale.bases):
        point = point_of(arch, base, [*scale.overrides, *scale.longer(arch), *threads, *overrides])
        cache = StageCache.of(point)
        folder = prepare_base(point.base, cache)
        machine = of_reranker(point, resolve(point.hardware), folder, cache)
        columns = {
            f"{task}, {precision}": shares(
                *profiled(
                    point,
                    folder,
                    replace(machine, precision=precision, training_precision=precision),
                )
            )
            for task, fastest, profiled in (
                ("training", machine.training_precision or machine.precision, training),
                ("scoring", machine.precision, partial(scoring, count=scale.passages)),
            )
            for precision in dict.fromkeys(("fp32", fastest))
        }
        print(f"\n{arch} of {base}, {machine.name}, {machine.threads} threads\n")
        print(table(columns, ON_GPU if machine.device == "cuda" else ON_CPU))


def training(point: Config, base: Path, machine: Hardware) -> tuple[dict[str, float], float]:
    """The microseconds of each operator in some steps of training, and those that passed."""
    reranker = load(point, base, machine, trained=False)
    assert reranker is not None
    rows = list(sample(point, 1).examples)
    settings = replace(point.train, max_steps=STEPS)
    schedule = plan(point.arch.loss, len(rows), len(rows), point.negatives, 1, settings)
    profiler, passed = profile(activities=ACTIVITIES[machine.device]), [0.0]

    def on_log(step: int, metrics: Mapping[str, float]) -> None:
        if step == 2:  # The first step is slower, and the second begins with a rehearsal.
            machine.synchronize()
            profiler.start()
            passed[0] = time.perf_counter()
        elif step == STEPS and "train/loss" in metrics:
            machine.synchronize()
            passed[0] = 1e6 * (time.perf_counter() - passed[0])
            profiler.stop()

    with TemporaryDirectory() as folder:
        train(
            reranker,
            lambda: rows,
            schedule,
            settings,
            hardware=machine,
            seed=point.seed,
            folder=Path(folder),
            on_log=on_log,
        )
    return operators(profiler), passed[0]


def scoring(
    point: Config, base: Path, machine: Hardware, count: int
) -> tuple[dict[str, float], float]:
    """The microseconds of each operator in scoring ``count`` passages, and those that passed."""
    reranker = load(point, base, machine, trained=False)
    assert reranker is not None
    made = sample(point, count)
    texts = {str(number): text for number, text in enumerate(made.passages)}
    pairs = [("query", doc_id) for doc_id in texts]
    score: Callable[[], object] = lambda: reranker.score_pairs(  # noqa: E731
        {"query": made.queries[0]}, texts, pairs
    )
    score()
    with profile(activities=ACTIVITIES[machine.device]) as profiler:
        start = time.perf_counter()
        score()
        passed = 1e6 * (time.perf_counter() - start)
    return operators(profiler), passed


def operators(profiler: Any) -> dict[str, float]:
    """The microseconds that each operator took itself, on the GPU if there is one, by its name."""
    events = [event for event in profiler.key_averages() if event.device_type.name == "CPU"]
    on_gpu = {event.key: float(event.self_device_time_total) for event in events}
    if any(on_gpu.values()):
        return on_gpu
    return {event.key: event.self_cpu_time_total for event in events}


def shares(spent: Mapping[str, float], passed: float) -> dict[str, float]:
    """The share of each group in what ``passed``, and the rest."""
    found: dict[str, float] = defaultdict(float)
    for operator, microseconds in spent.items():
        found[group_of(operator)] += microseconds / passed
    found[REST] = 1 - sum(found.values())
    return found


def group_of(operator: str) -> str:
    """The group of an operator such as ``aten::addmm``."""
    name = operator.lower()
    return next((g for g, parts in GROUPS.items() if any(p in name for p in parts)), OTHERS)


def table(columns: Mapping[str, Mapping[str, float]], rest: str) -> str:
    """A Markdown table with a row for each group; ``rest`` is what no operator took."""
    names = {**{group: group for group in (*GROUPS, OTHERS)}, REST: rest}
    rows = [
        f"| {name} | {' | '.join(f'{found.get(group, 0):.0%}' for found in columns.values())} |"
        for group, name in names.items()
    ]
    head = [f"| | {' | '.join(columns)} |", f"| --- |{' ---: |' * len(columns)}"]
    return "\n".join([*head, *rows])


if __name__ == "__main__":
    main(sys.argv[1:])
