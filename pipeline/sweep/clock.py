"""Tell how long a sweep has taken, over all its attempts, and how long it will take."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

TRUST = 0.2  # of the estimated time: how much of it must pass until the estimate counts for half


@dataclass(frozen=True)
class Clock:
    """Counts the seconds of a sweep over its attempts, and estimates those that are left.

    ``started`` is when this attempt began, in seconds since 1970; ``earlier`` what others took.

    A sweep's time is logged whenever a point has ended. An attempt that is killed loses the time
    since then, and nothing is counted twice.
    """

    started: float = field(default_factory=time.time)
    earlier: float = 0.0  # seconds
    begun: float = field(default_factory=time.time)  # when the first point began
    expected: Mapping[str, float] = field(default_factory=dict)  # seconds of a point, by its name
    whole: float = 0.0  # expected seconds of all points, and of timing them afterwards

    def here(self) -> float:
        """Seconds since this attempt began."""
        return time.time() - self.started

    def metrics(self) -> dict[str, float]:
        """The metric ``sweep/seconds`` of all attempts."""
        return {"sweep/seconds": self.earlier + self.here()}

    def estimated(self) -> dict[str, float]:
        """The metric ``sweep/estimated_seconds``: so far and expected; empty without an estimate.

        It is comparable with ``sweep/seconds`` right after ``expecting``.
        """
        if not self.whole:
            return {}
        return {"sweep/estimated_seconds": self.earlier + self.here() + self.whole}

    def expecting(self, points: Sequence[tuple[str, float]], after: float) -> Self:
        """Begin the points, of which each is to take so many seconds; ``after`` comes at the end.

        Points of the same name get their mean.
        """
        named: dict[str, list[float]] = {}
        for name, seconds in points:
            named.setdefault(name, []).append(seconds)
        expected = {name: sum(seconds) / len(seconds) for name, seconds in named.items()}
        whole = sum(seconds for _, seconds in points) + after
        return replace(self, begun=time.time(), expected=expected, whole=whole)

    def left(self, ended: Sequence[str]) -> float:
        """Estimate the seconds left, when the points of these names have ended.

        What is left of the expected time, at the pace so far. At first the pace is close to the
        expected one, as the first point may tell little. 0 if nothing is expected.
        """
        passed = time.time() - self.begun
        if not self.whole:
            return 0.0
        done, trust = sum(self.expected.get(name, 0.0) for name in ended), TRUST * self.whole
        pace = (passed + trust) / (done + trust)
        return pace * max(0.0, self.whole - done)


def duration(seconds: float) -> str:
    """Return ``40 s``, ``24 min`` or ``2.5 h``, rounded as an estimate should be."""
    if seconds < 90:
        return f"{max(10, round(seconds, -1)):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
