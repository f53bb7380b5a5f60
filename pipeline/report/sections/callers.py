"""Section "Several callers, and the first query": throughput, and what a caller waits for."""

import re
from collections.abc import Sequence
from math import nan
from typing import NamedTuple

from pipeline.evaluation.quantiles import QUANTILES
from pipeline.report.blocks import Section, Table
from pipeline.report.comparison import Comparison
from pipeline.report.format import SEARCH_NAMES, milliseconds, number
from pipeline.report.points import Point
from pipeline.report.study import Study
from pipeline.report.timed_on import TimedOn, timed_on

FIRST = "latency/first_query_ms"
TEXT = (
    "The first query was asked once, after the reranker was loaded and before the warm-up; the "
    "embedder and the index may have served other runs before. Several callers share one model. "
    "Each asks again once it is answered, and what waits is scored together, as in the server. "
    "Waiting is the part of a query's time before the model begins with it."
)


class Load(NamedTuple):
    """How many callers asked at once, and for what."""

    callers: int
    search: str
    limit: int

    @property
    def prefix(self) -> str:
        """The beginning of the names of its metrics."""
        return f"latency/callers_{self.callers}/{self.search}_{self.limit}"


def section(study: Study) -> Section | None:
    """Draw a table per machine and load."""
    comparison = study.comparison
    groups: dict[tuple[TimedOn, Load | None], list[int]] = {}
    for i, point in enumerate(comparison.points):
        loads = _loads(point)
        if not loads and FIRST in point.metrics:
            groups.setdefault((timed_on(point), None), []).append(i)
        for load in loads:
            groups.setdefault((timed_on(point), load), []).append(i)
    if not groups:
        return None
    tables = [_table(comparison, *key, members) for key, members in groups.items()]
    return Section("Several callers, and the first query", [TEXT, *tables])


def _loads(point: Point) -> list[Load]:
    names = (
        re.fullmatch(r"latency/callers_(\d+)/([a-z]+)_(\d+)/queries_per_s", name)
        for name in point.metrics
    )
    return sorted(Load(int(m[1]), m[2], int(m[3])) for m in names if m)


def _table(
    comparison: Comparison, machine: TimedOn, load: Load | None, members: Sequence[int]
) -> Table:
    """One row per run; p99 only if it was measured for one of them."""
    points = [comparison.points[i] for i in members]
    heads, columns = ["run", "first query"], [_times(points, FIRST)]
    what = "the first query"
    if load is not None:
        search = f"{SEARCH_NAMES[load.search]} search, {load.limit} passages"
        what = f"{search}, {load.callers} callers at once"
        alone, total = f"latency/{load.search}_{load.limit}", f"{load.prefix}/total"
        given = [q for q in QUANTILES if any(f"{total}_{q}_ms" in p.metrics for p in points)]
        heads += ["queries/s, 1 caller", f"queries/s, {load.callers} callers"]
        heads += [*given, *(f"waiting, {quantile}" for quantile in given)]
        columns += [_rates(points, f"{prefix}/queries_per_s") for prefix in (alone, load.prefix)]
        columns += [_times(points, f"{total}_{quantile}_ms") for quantile in given]
        columns += [_times(points, f"{load.prefix}/queue_{quantile}_ms") for quantile in given]
    caption = ": ".join(filter(None, [str(machine), what]))
    names = [comparison.labels[i] for i in members]
    return Table(caption, heads, [list(row) for row in zip(names, *columns, strict=True)])


def _times(points: Sequence[Point], metric: str) -> list[str]:
    return [milliseconds(point.metrics.get(metric, nan)) for point in points]


def _rates(points: Sequence[Point], metric: str) -> list[str]:
    return [number(point.metrics.get(metric), ".1f") for point in points]
