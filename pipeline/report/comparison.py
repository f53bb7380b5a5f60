"""Compare the points of one sweep, as numbers; the sections of the report show them.

Pure: runs and per-query values in, figures out. Every point is compared with its own search
without reranking, on the same queries and candidates, which is what the control (arch=none)
shows; and with the best of its column. Seeds of one point are pooled by ``points``.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isnan, nan

from pipeline.evaluation.metrics import PerQuery
from pipeline.evaluation.significance import LEVEL
from pipeline.records import SEARCHES
from pipeline.report.depth import known, rerank_depth, timed_depth, with_depth
from pipeline.report.format import GROUPS
from pipeline.report.labels import labels
from pipeline.report.points import MEASURES, Point, cutoffs, pool
from pipeline.report.uncertainty import COLUMNS, Ends, Evidence, value_of, weigh
from pipeline.tracking.reader import RunRecord
from pipeline.tracking.search_params import SEARCH_PARAMS

UNKNOWN: Ends = nan, nan


@dataclass(frozen=True)
class Cell:
    """One figure of one point; NaN where there is none."""

    value: float
    gain: float  # over the search without reranking
    low: float  # 95% interval of the relative gain, of this cell alone
    high: float
    chosen: Ends  # the same, wide enough for a cell that was chosen from the table by its value
    p_value: float  # of the gain, corrected over the table
    best: bool  # of the column
    to_best: Ends  # 95% interval of the difference to the best of the column
    spread: float  # standard deviation over seeds
    p_baseline: float  # of the difference to the named baseline, corrected over the table

    @property
    def significant(self) -> bool:
        """Whether the point differs from no reranking."""
        return self.p_value < LEVEL

    @property
    def differs(self) -> bool:
        """Whether the point differs from the named baseline."""
        return self.p_baseline < LEVEL

    @property
    def as_good(self) -> bool:
        """Whether the interval of the difference to the best of the column includes 0."""
        return not self.best and self.to_best[1] >= 0

    @property
    def relative(self) -> float:
        """The gain as a share of the search without reranking."""
        base = self.value - self.gain
        return self.gain / base if base > 0 else nan


@dataclass(frozen=True)
class Quality:
    """One measure at one cutoff: ``rows[i][column]`` belongs to point i, columns as in COLUMNS."""

    measure: str  # ndcg or hit_rate
    cutoff: int
    rows: list[dict[str, Cell]]
    half_width: dict[str, float]  # search -> half the 95% interval without reranking

    @property
    def name(self) -> str:
        """``NDCG@10``."""
        return f"{MEASURES[self.measure]}@{self.cutoff}"

    @property
    def metric(self) -> str:
        """``ndcg_at_10``."""
        return f"{self.measure}_at_{self.cutoff}"


@dataclass(frozen=True)
class Comparison:
    """Points that reranked the same search, and the runs that did not finish."""

    points: list[Point]
    labels: list[str]
    unfinished: list[RunRecord]
    qualities: list[Quality]  # largest cutoff first
    queries: int
    passages: str  # as logged, empty if not
    title: str  # the data set, and the search where there are several
    depths: list[int]  # passages that the points rerank for the largest cutoff, ascending
    limits: list[int]  # passages reranked in the latencies of the points, ascending
    baseline: str | None = None  # the label of the point that others are tested against

    def latency(self, point: RunRecord, search: str = "vector") -> float:
        """Median milliseconds of one query that reranks as many passages as for the quality."""
        limit = timed_depth(point, max((quality.cutoff for quality in self.qualities), default=0))
        return point.metrics.get(f"latency/{search}_{limit}/total_p50_ms", nan)


def compare(
    records: Sequence[RunRecord],
    read_per_query: Callable[[str], dict[str, PerQuery]],
    baseline: str | None = None,
    title: str | None = None,
) -> Comparison:
    """Compare the finished runs among ``records``, which share their first stage.

    ``read_per_query`` maps a run id to column -> metric -> query id -> value and is called once
    per run. ``baseline`` is the name or id of the run that the others are tested against as well;
    it has no effect if no run of that name has finished. ``title`` says what the runs have in
    common; by default the data sets.
    """
    finished = sorted((run for run in records if run.status == "FINISHED"), key=_table_order)
    points = pool(finished, read_per_query)
    measured = sorted({k for point in points for k in cutoffs(point)}, reverse=True)
    deepest = max(measured, default=0)
    names = with_depth(labels(points), points, deepest)
    reference = next((i for i, p in enumerate(points) if baseline in (p.name, p.run_id)), None)
    return Comparison(
        points=points,
        labels=names,
        unfinished=[run for run in records if run.status != "FINISHED"],
        qualities=[_quality(points, m, k, reference) for k in measured for m in MEASURES],
        queries=next((len(p.values.queries) for p in points if p.values.queries), 0),
        passages=next((p.params["data.corpus"] for p in points if "data.corpus" in p.params), ""),
        title=title or " and ".join(sorted({dataset(point) for point in points})),
        depths=known(rerank_depth(point, deepest) for point in points),
        limits=known(timed_depth(point, deepest) for point in points),
        baseline=None if reference is None else names[reference],
    )


def by_search(records: Sequence[RunRecord]) -> dict[str, list[RunRecord]]:
    """Group the runs that can be compared: on the same data set, searched in the same way.

    Returns title -> runs; at least one list, which may be empty. The title names the data set, and
    the parameters of the search where one data set was searched in several ways. A run that ended
    before its data set was fingerprinted goes with the first of the same name.
    """
    groups: dict[tuple[str, ...], list[RunRecord]] = {}
    for run in records:
        if "data.fingerprint" in run.params:
            groups.setdefault(_search_of(run), []).append(run)
    for run in records:
        if "data.fingerprint" not in run.params:
            same = (key for key in groups if key[0].rpartition(" ")[0] == dataset(run))
            groups.setdefault(next(same, _search_of(run)), []).append(run)
    return {_title(key, list(groups)): runs for key, runs in groups.items()} or {"": []}


def dataset(run: RunRecord) -> str:
    """Return ``pydocs 94b1751e``: the name and the fingerprint, as far as they were logged."""
    name, fingerprint = run.tags.get("dataset", ""), run.params.get("data.fingerprint", "")
    return f"{name} {fingerprint[:8]}".strip()


def natural(text: str) -> list[tuple[int, str]]:
    """Return a sort key that puts 2ep before 10ep."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", text)]


def ceilings(comparison: Comparison, quality: Quality) -> dict[int, dict[str, float]]:
    """Return candidates reranked -> search -> the quality of their ideal order.

    The number of candidates is 0 if it was not logged.
    """
    found: dict[int, dict[str, float]] = {}
    for point in comparison.points:
        depth = rerank_depth(point, quality.cutoff) or 0
        for search in SEARCHES:
            value = point.metrics.get(f"{search}_ideal/{quality.metric}")
            if value is not None:
                found.setdefault(depth, {}).setdefault(search, value)
    return dict(sorted(found.items()))


def _search_of(run: RunRecord) -> tuple[str, ...]:
    return dataset(run), *(run.params.get(name, "") for name in SEARCH_PARAMS)


def _title(key: tuple[str, ...], keys: Sequence[tuple[str, ...]]) -> str:
    """``pydocs 94b1751e, embedder.max_length=128``: the data set, and what tells it apart."""
    rivals = [other for other in keys if other[0] == key[0]]
    parts = [key[0]]
    for i, name in enumerate(SEARCH_PARAMS, start=1):
        if len({other[i] for other in rivals}) > 1:
            parts.append(f"{name}={key[i] or '-'}")
    return ", ".join(parts)


def _table_order(run: RunRecord) -> tuple[int, list[tuple[int, str]], str]:
    group, order = run.tags.get("initialisation", ""), list(GROUPS)
    position = order.index(group) if group in GROUPS else len(order)
    return position, natural(run.name), run.params.get("seed", "")


def _quality(points: Sequence[Point], measure: str, k: int, baseline: int | None) -> Quality:
    metric = f"{measure}_at_{k}"
    evidence = weigh(points, metric, baseline)
    rows: list[dict[str, Cell]] = [{} for _ in points]
    for column in COLUMNS:
        values = [value_of(point, column, metric) for point in points]
        highest = max((value for value in values if not isnan(value)), default=nan)
        for i, point in enumerate(points):
            rows[i][column] = _cell(point, i, column, metric, evidence, highest)
    return Quality(measure, k, rows, evidence.half_widths)


def _cell(
    point: Point, i: int, column: str, metric: str, evidence: Evidence, highest: float
) -> Cell:
    value = value_of(point, column, metric)
    low, high = evidence.gains.get((i, column), UNKNOWN)
    return Cell(
        value=value,
        gain=value - point.metrics.get(f"{COLUMNS[column]}/{metric}", nan),
        low=low,
        high=high,
        chosen=evidence.chosen_gains.get((i, column), UNKNOWN),
        p_value=evidence.p_gains.get((i, column), nan),
        best=value == highest,
        to_best=evidence.to_best.get((i, column), UNKNOWN),
        spread=point.spread(f"{column}/{metric}"),
        p_baseline=evidence.p_baseline.get((i, column), nan),
    )
