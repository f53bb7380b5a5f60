"""Let the ways to do a thing take turns, and compare their times."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib import metadata
from statistics import median
from typing import Protocol

import torch

from pipeline.config.stages import HardwareConfig
from pipeline.infra.hardware import resolve

ROUNDS = 3  # after one that warms up
LIBRARIES = (
    "fastapi",
    "lancedb",
    "pylate",
    "sentence-transformers",
    "torch",
    "transformers",
    "uvicorn",
)


class Finding(Protocol):
    """What a benchmark has found."""

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None if there is no target here."""

    def line(self) -> str:
        """The finding as a line of text, which begins with its name."""

    def record(self) -> dict[str, object]:
        """The finding as JSON."""


@dataclass(frozen=True)
class Result:
    """How much faster this project is than the stock way, at the same task.

    ``same`` says in a few words that both give the same; ``passed`` is False if they do not.
    """

    name: str
    target: float
    ours: list[float]  # seconds of each round, or of a request in it
    stock: list[float]
    same: str
    passed: bool = True
    inputs: dict[str, object] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """Median seconds of the stock way over ours."""
        return median(self.stock) / median(self.ours)

    @property
    def met(self) -> bool:
        """Whether the target is reached with the same result."""
        return self.passed and self.ratio >= self.target

    def line(self) -> str:
        """``scoring by a ColBERT: 3.1x (2.9 to 3.4), target 2x, met; ...``."""
        rounds = sorted(s / o for s, o in zip(self.stock, self.ours, strict=True))
        spread = f"{rounds[0]:.1f} to {rounds[-1]:.1f}"
        target = f"target {self.target:g}x, {'met' if self.met else 'NOT met'}"
        return f"{self.name}: {self.ratio:.1f}x ({spread}), {target}; {self.same}"

    def record(self) -> dict[str, object]:
        """All fields, with the ratio and whether the target is met."""
        return asdict(self) | {"ratio": self.ratio, "met": self.met}


@dataclass(frozen=True)
class Share:
    """A part of a whole, such as of a point's time or of the processor's peak.

    It is for information where it has neither an upper nor a lower target.
    """

    name: str
    value: float  # 0..1
    of: str  # what the whole is
    about: str
    at_least: float | None = None
    at_most: float | None = None
    inputs: dict[str, object] = field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None without one."""
        if self.at_least is not None:
            return self.value >= self.at_least
        return None if self.at_most is None else self.value <= self.at_most

    def line(self) -> str:
        """``own overhead: 1.2% of the time of a point, target at most 3%, met; ...``."""
        bounds = {"at least": self.at_least, "at most": self.at_most}
        aims = [f"{word} {bound:.0%}" for word, bound in bounds.items() if bound is not None]
        target = f", target {aims[0]}, {'met' if self.met else 'NOT met'}" if aims else ""
        return f"{self.name}: {self.value:.1%} of {self.of}{target}; {self.about}"

    def record(self) -> dict[str, object]:
        """All fields, with whether the target is met."""
        return asdict(self) | {"met": self.met}


def environment() -> dict[str, object]:
    """The machine and the versions of the libraries, as JSON."""
    machine = resolve(HardwareConfig())
    return {
        "machine": {"name": machine.name, "threads": torch.get_num_threads()},
        "versions": {library: metadata.version(library) for library in LIBRARIES},
    }


def alternate(
    ways: Mapping[str, Callable[[], object]], rounds: int = ROUNDS
) -> dict[str, list[float]]:
    """Time each of ``ways`` once a round, in turns; the first round is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(1 + rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - start)
    return {name: timed[1:] for name, timed in seconds.items()}
