"""Quality against latency: what is on the Pareto front, for every device and depth."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan

from pipeline.records import SEARCHES
from pipeline.report.comparison import Comparison
from pipeline.report.uncertainty import COLUMNS


@dataclass(frozen=True)
class Timed:
    """A system: quality as in the tables, latency when ``limit`` passages are reranked."""

    label: str
    mode: str
    order: str  # alone, reranked or fused
    limit: int
    quality: float
    p50: float  # milliseconds of one query
    p95: float
    front: bool = False  # nothing is at once as fast and better, or faster and as good


@dataclass(frozen=True)
class Device:
    """The systems timed on one machine; ``limits`` ascending."""

    kind: str  # cpu, cuda, mps; empty if it was not logged
    name: str
    limits: list[int]
    systems: list[Timed]


def devices(comparison: Comparison) -> list[Device]:
    """The machines of the runs with latencies, each apart."""
    machines: dict[tuple[str, str], list[int]] = {}
    for i, run in enumerate(comparison.runs):
        key = run.params.get("machine.device", ""), run.params.get("machine.name", "")
        machines.setdefault(key, []).append(i)
    found = []
    for (kind, name), members in sorted(machines.items()):
        systems = [timed for i in members for timed in _timed(comparison, i)]
        limits = sorted({timed.limit for timed in systems})
        marked = [t for limit in limits for t in _front([s for s in systems if s.limit == limit])]
        if marked:
            found.append(Device(kind, name, limits, marked))
    return found


def _timed(comparison: Comparison, i: int) -> list[Timed]:
    run, row = comparison.runs[i], comparison.qualities[0].rows[i]
    names = (re.fullmatch(r"latency/(\w+)_(\d+)/total_p50_ms", name) for name in run.metrics)
    measured = sorted((match[1], int(match[2])) for match in names if match)
    systems = []
    for mode, limit in measured:
        p50, p95 = (run.metrics.get(f"latency/{mode}_{limit}/total_{p}_ms") for p in ("p50", "p95"))
        for column, search in COLUMNS.items():
            order = column.removeprefix(f"{mode}_")
            if run.group == "none":
                if order == "fused":
                    continue
                order = "alone"
            cell = row[column]
            if search == mode and p50 is not None and not isnan(p50 + cell.value):
                high = p50 if p95 is None or isnan(p95) else p95
                systems.append(
                    Timed(comparison.labels[i], mode, order, limit, cell.value, p50, high)
                )
    return sorted(systems, key=lambda s: (SEARCHES.index(s.mode), s.order, s.limit))


def _front(systems: Sequence[Timed]) -> list[Timed]:
    """The same systems, fastest first, those on the Pareto front marked."""
    marked = []
    best = float("-inf")
    for system in sorted(systems, key=lambda s: (s.p50, -s.quality)):
        on_front = system.quality > best
        best = max(best, system.quality)
        marked.append(Timed(**{**vars(system), "front": on_front}))
    return marked
