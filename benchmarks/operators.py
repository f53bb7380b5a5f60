"""Profile where the time of training and scoring goes, by groups of torch's operators.

    python -m benchmarks.operators

The default cross-encoder and ColBERT of minilm_l6 train and score texts that are as long as they
read, see ``benchmarks/bench/roofline.py``. Prints a Markdown table for each, in percent of the
wall time. What no operator takes is tokenising and Python. Set ``hardware.threads=1`` and other
overrides behind the command.
"""

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch.profiler import ProfilerActivity, profile

from benchmarks.bench.roofline import point_of, sample
from pipeline.config import Config
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
OTHERS, PYTHON = "other operators", "tokenising and Python"


def main(overrides: list[str]) -> None:
    """Print a table for each architecture."""
    quiet.silence()
    for arch in ("cross_encoder", "colbert"):
        point = point_of(arch, "minilm_l6", overrides)
        cache = StageCache.of(point)
        base = prepare_base(point.base, cache)
        machine = of_reranker(point, resolve(point.hardware), base, cache)
        columns = {
            f"{task}, {precision}": shares(
                *profiled(
                    point,
                    base,
                    replace(machine, precision=precision, training_precision=precision),
                )
            )
            for task, fastest, profiled in (
                ("training", machine.training_precision or machine.precision, training),
                ("scoring", machine.precision, scoring),
            )
            for precision in dict.fromkeys(("fp32", fastest))
        }
        print(f"\n{arch}, {machine.name}, {machine.threads} threads\n")
        print(table(columns))


def training(point: Config, base: Path, machine: Hardware) -> tuple[dict[str, float], float]:
    """The microseconds of each operator in some steps of training, and those that passed."""
    reranker = load(point, base, machine, trained=False)
    assert reranker is not None
    rows = list(sample(point, 1).examples)
    settings = replace(point.train, max_steps=STEPS)
    schedule = plan(point.arch.loss, len(rows), len(rows), point.negatives, 1, settings)
    profiler, passed = profile(activities=[ProfilerActivity.CPU]), [0.0]

    def on_log(step: int, metrics: Mapping[str, float]) -> None:
        if step == 2:  # The first step is slower, and the second begins with a rehearsal.
            profiler.start()
            passed[0] = time.perf_counter()
        elif step == STEPS and "train/loss" in metrics:
            passed[0] = 1e6 * (time.perf_counter() - passed[0])
            profiler.stop()

    with TemporaryDirectory() as folder:
        train(
            reranker,
            lambda: rows,
            schedule,
            settings,
            machine,
            point.seed,
            Path(folder),
            None,
            on_log,
        )
    return operators(profiler), passed[0]


def scoring(point: Config, base: Path, machine: Hardware) -> tuple[dict[str, float], float]:
    """The microseconds of each operator in scoring 64 passages, and those that passed."""
    reranker = load(point, base, machine, trained=False)
    assert reranker is not None
    made = sample(point, 64)
    texts = {str(number): text for number, text in enumerate(made.passages)}
    pairs = [("query", doc_id) for doc_id in texts]
    score: Callable[[], object] = lambda: reranker.score_pairs(  # noqa: E731
        {"query": made.queries[0]}, texts, pairs
    )
    score()
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        start = time.perf_counter()
        score()
        passed = 1e6 * (time.perf_counter() - start)
    return operators(profiler), passed


def operators(profiler: Any) -> dict[str, float]:
    """The microseconds that each operator took itself, by its name."""
    return {event.key: event.self_cpu_time_total for event in profiler.key_averages()}


def shares(spent: Mapping[str, float], passed: float) -> dict[str, float]:
    """The share of each group in what ``passed``; the rest is Python."""
    found: dict[str, float] = defaultdict(float)
    for operator, microseconds in spent.items():
        found[group_of(operator)] += microseconds / passed
    found[PYTHON] = 1 - sum(found.values())
    return found


def group_of(operator: str) -> str:
    """The group of an operator such as ``aten::addmm``."""
    name = operator.lower()
    return next((g for g, parts in GROUPS.items() if any(p in name for p in parts)), OTHERS)


def table(columns: Mapping[str, Mapping[str, float]]) -> str:
    """A Markdown table with a row for each group."""
    groups: Iterable[str] = (*GROUPS, OTHERS, PYTHON)
    rows = [
        f"| {group} | {' | '.join(f'{found.get(group, 0):.0%}' for found in columns.values())} |"
        for group in groups
    ]
    head = [f"| | {' | '.join(columns)} |", f"| --- |{' ---: |' * len(columns)}"]
    return "\n".join([*head, *rows])


if __name__ == "__main__":
    main(sys.argv[1:])
