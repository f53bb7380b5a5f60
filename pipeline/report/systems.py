"""Collect the systems of a comparison: every point with each of its orders.

The best is the one with the highest value of the first measure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan

from pipeline.report.comparison import Cell, Comparison, Quality
from pipeline.report.format import SEARCH_NAMES
from pipeline.report.timed_on import timed_on
from pipeline.report.uncertainty import COLUMNS, order_of


@dataclass(frozen=True)
class System:
    """A point with one of its orders; ``column`` is one of COLUMNS."""

    point: int
    column: str
    cell: Cell
    latency: float  # milliseconds, p50 at the comparison's limit
    machine: str  # on which it was measured, "" if that was not logged

    @property
    def search(self) -> str:
        """The search that it starts from."""
        return COLUMNS[self.column]


@dataclass(frozen=True)
class Glance:
    """One search: what it is alone and with the reranker that is best for it."""

    search: str
    alone: float
    latency: float  # milliseconds, p50, without reranking
    best: System | None


def describe(comparison: Comparison, system: System) -> str:
    """Return ``colbert_minilm_l6_2neg_1ep on FTS search, fused with its order``."""
    fused = ", fused with its order" if order_of(system.column) == "fused" else ""
    return f"{comparison.labels[system.point]} on {SEARCH_NAMES[system.search]} search{fused}"


def systems_of(comparison: Comparison, quality: Quality) -> list[System]:
    """Return every order of every point that has a value; controls are no systems."""
    return [
        System(i, column, cell, comparison.latency(point, COLUMNS[column]), str(timed_on(point)))
        for i, (point, row) in enumerate(zip(comparison.points, quality.rows, strict=True))
        if point.group != "none"
        for column, cell in row.items()
        if not isnan(cell.value)
    ]


def best_of(systems: Sequence[System]) -> System:
    """Return the system with the highest value."""
    return max(systems, key=lambda system: system.cell.value)


def glance_at(
    comparison: Comparison, quality: Quality, systems: Sequence[System], search: str
) -> Glance:
    """Return what a search is alone, and with the reranker that is best for it."""
    points = comparison.points
    name = f"{search}/{quality.metric}"
    alone = next((point.metrics[name] for point in points if name in point.metrics), nan)
    control = next((point for point in points if point.group == "none"), None)
    latency = comparison.latency(control, search) if control else nan
    own = [system for system in systems if system.search == search]
    return Glance(search, alone, latency, best_of(own) if own else None)
