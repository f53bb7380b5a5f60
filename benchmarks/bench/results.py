"""Let the ways to do a thing take turns, and compare their times."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median

ROUNDS = 3  # after one that warms up


@dataclass(frozen=True)
class Result:
    """How much faster this project is than the stock way, at the same task.

    ``same`` says in a few words that both give the same; ``passed`` is False if they do not.
    """

    name: str
    target: float
    ours: list[float]  # seconds of each round
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
