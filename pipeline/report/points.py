"""Runs as points of the grid: several seeds of one point are one row.

A pooled point has the mean of its runs' metrics and, query by query, the mean of their values,
so that an interval or a test over queries sees the same number of queries as for one run. What
the runs differ by is the spread. Reads the per-query values of one run at a time and keeps
only what is compared, as arrays.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import fsum, nan, sqrt

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.metrics import PerQuery
from pipeline.tracking.reader import RunRecord

COMPARED = re.compile(r"(ndcg|hit_rate)_at_\d+")
# What runs of one point may differ by. Precision is not among it: it changes scores.
MACHINE = ("machine.device", "machine.name", "machine.threads")
INCIDENTAL = (
    *MACHINE,
    "hardware.device",
    "hardware.threads",
    "seed",
    "grid",
    "output_dir",
    "cache_uri",
    "tracking.",
    "report.",
    "git.",
    "version.",
    "lock.",
)


@dataclass(frozen=True)
class Values:
    """(stage, metric) -> one value per query, in the order of ``queries``."""

    queries: tuple[str, ...]
    columns: dict[tuple[str, str], NDArray[np.float64]]

    def of(self, stage: str, metric: str) -> NDArray[np.float64] | None:
        """The values of one metric, None if the run has none."""
        return self.columns.get((stage, metric))


@dataclass(frozen=True)
class Point(RunRecord):
    """The finished runs of one point; ``metrics`` are means over them, the rest is the first's."""

    runs: tuple[RunRecord, ...]
    values: Values

    def spread(self, metric: str) -> float:
        """The standard deviation of a metric over the seeds; NaN below two of them."""
        found = [run.metrics[metric] for run in self.runs if metric in run.metrics]
        if len(found) < 2:
            return nan
        mean = fsum(found) / len(found)
        return sqrt(fsum((value - mean) ** 2 for value in found) / (len(found) - 1))

    @property
    def seeds(self) -> list[str]:
        """As they were logged, empty if they were not."""
        return [run.params["seed"] for run in self.runs if "seed" in run.params]

    @property
    def group(self) -> str:
        """The tag ``initialisation``."""
        return self.tags.get("initialisation", "?")


def pool(
    runs: Sequence[RunRecord], read_per_query: Callable[[str], dict[str, PerQuery]]
) -> list[Point]:
    """The points of ``runs``, in the order of their first run.

    Runs are one point if name, tags and configuration agree but for the seed and the machine.
    A repetition with the same seed is a point of its own: it says nothing about the spread.
    """
    members: dict[tuple[object, ...], list[RunRecord]] = {}
    for run in runs:
        key: tuple[object, ...] = (run.name, run.tags.get("initialisation"), identity(run))
        seed = run.params.get("seed")
        if any(other.params.get("seed") == seed for other in members.get(key, [])):
            key = (*key, run.run_id)
        members.setdefault(key, []).append(run)
    return [_point(same, read_per_query) for same in members.values()]


def labels(points: Sequence[Point]) -> list[str]:
    """Run names; where one occurs twice, with what tells the points apart."""
    names = Counter(point.name for point in points)
    texts = []
    for point in points:
        text = point.name
        if names[point.name] > 1:
            twins = [other for other in points if other.name == point.name]
            text += f" ({_difference(point, twins) or point.run_id[:8]})"
        if len(point.runs) > 1:
            text += f" ({len(point.runs)} seeds)"
        texts.append(text)
    return texts


def identity(run: RunRecord) -> frozenset[tuple[str, str]]:
    """What makes a run the point it is: its parameters but for the seed and where it ran."""
    return frozenset(item for item in run.params.items() if not item[0].startswith(INCIDENTAL))


def machine(run: RunRecord) -> str:
    """The GPU or CPU by name, empty if it was not logged."""
    return run.params.get("machine.name", "") or run.params.get("machine.device", "")


def _difference(point: Point, twins: Sequence[Point]) -> str:
    """``seed 13``, a machine or ``train.learning_rate=1e-05``; empty if they don't tell."""
    seeds = [tuple(twin.seeds) for twin in twins]
    if point.seeds and len(set(seeds)) == len(twins) and all(seeds):
        return f"seed {' '.join(point.seeds)}"
    machines = [machine(twin) for twin in twins]
    if all(machines) and len(set(machines)) == len(twins):
        return machine(point)
    keys = sorted({key for twin in twins for key, _ in identity(twin)})
    differing = [key for key in keys if len({twin.params.get(key) for twin in twins}) > 1]
    told = [tuple(twin.params.get(key) for key in differing) for twin in twins]
    if not differing or len(differing) > 3 or len(set(told)) < len(twins):
        return ""
    return ", ".join(f"{key}={point.params.get(key, '-')}" for key in differing)


def _point(runs: list[RunRecord], read: Callable[[str], dict[str, PerQuery]]) -> Point:
    first = runs[0]
    values = _mean_values([_values(read(run.run_id)) for run in runs])
    names = [name for name in first.metrics if all(name in run.metrics for run in runs)]
    if len({tuple(run.params.get(key) for key in MACHINE) for run in runs}) > 1:
        names = [name for name in names if not name.startswith("latency/")]  # of no machine
    metrics = {name: fsum(run.metrics[name] for run in runs) / len(runs) for name in names}
    if len(runs) == 1:
        metrics = first.metrics
    return Point(
        first.run_id,
        first.name,
        first.status,
        first.tags,
        first.params,
        metrics,
        tuple(runs),
        values,
    )


def _values(stages: dict[str, PerQuery]) -> Values:
    queries: tuple[str, ...] = ()
    columns = {}
    for stage, per_query in stages.items():
        for metric, values in per_query.items():
            if not COMPARED.fullmatch(metric) or stage.endswith(("_candidates", "_ideal")):
                continue
            queries = queries or tuple(sorted(values))
            if values.keys() != set(queries):
                continue
            column = np.array([values[query] for query in queries])
            if np.isfinite(column).all():
                columns[stage, metric] = column
    return Values(queries, columns)


def _mean_values(runs: Sequence[Values]) -> Values:
    """Of runs with the same queries, else of those with the first one's."""
    same = [run for run in runs if run.queries == runs[0].queries]
    shared = [key for key in same[0].columns if all(key in run.columns for run in same)]
    if len(same) == 1:
        return same[0]
    columns = {key: np.mean([run.columns[key] for run in same], axis=0) for key in shared}
    return Values(same[0].queries, columns)
