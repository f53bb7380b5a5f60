"""Train for an epoch of some rows: this project's trainer against the libraries'."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.bench import stock
from benchmarks.bench.results import Result, alternate
from benchmarks.bench.subjects import Subject
from pipeline.experiment.precision import settle
from pipeline.training.schedule import plan
from pipeline.training.train import train

ROWS = 128
ROUNDS = 2  # after one that warms up, so that there are three seeds
SEEDS = (1, 2, 3)


def training(arch: str, precision: str, target: float) -> Iterator[Result]:
    """Train ``ROWS`` rows; the loss at the end must be no higher than that of three seeds."""
    subject = Subject(arch)
    config, rows = subject.config, subject.examples(ROWS)
    settings = replace(config.train, head_learning_rate=None)  # as the libraries have it
    machine = settle(config, subject.machine, subject.base, subject.shared, subject.cache)
    if precision == "fp32":
        machine = replace(machine, precision="fp32", training_precision="fp32")
    assert subject.saved.exists()  # before the clock starts
    losses: dict[str, list[float]] = {"ours": [], "stock": []}

    def ours() -> None:
        curve: list[float] = []

        def on_log(step: int, metrics: Mapping[str, float]) -> None:
            curve.extend(v for name, v in metrics.items() if name == "train/loss")

        schedule = plan(config.arch.loss, len(rows), len(rows), config.negatives, 1, settings)
        with TemporaryDirectory() as folder:
            train(
                subject.reranker(machine),
                lambda: rows,
                schedule,
                settings,
                hardware=machine,
                seed=config.seed,
                folder=Path(folder),
                on_log=on_log,
            )
        losses["ours"].append(_end(curve))

    def theirs() -> None:
        seed = SEEDS[len(losses["stock"]) % len(SEEDS)]
        model: Any = subject.stock(training=True).model
        step = stock.train_cross_encoder if arch == "cross_encoder" else stock.train_colbert
        losses["stock"].append(
            _end(step(model, rows, settings.batch_size, settings.learning_rate, seed))
        )

    seconds = alternate({"ours": ours, "stock": theirs}, ROUNDS)
    lowest, highest = min(losses["stock"]), max(losses["stock"])
    end = fmean(losses["ours"])
    half = machine.training_precision or machine.precision
    yield Result(
        f"training, {arch} in {half}",
        target,
        seconds["ours"],
        seconds["stock"],
        f"loss at the end {end:.3f}, stock {lowest:.3f} to {highest:.3f}",
        end <= highest,
        {"rows": ROWS, "negatives": config.negatives, "batch": settings.batch_size},
    )


def _end(losses: list[float]) -> float:
    """The mean loss of the last quarter of the steps."""
    return fmean(losses[-max(1, len(losses) // 4) :])
