"""The points of one sweep side by side, as numbers; ``table`` and ``page`` show them.

Pure: runs and per-query values in, figures out. Every point is compared with its own search
without reranking, on the same queries and candidates, which is what the control (arch=none)
shows; and with the best of its column. Seeds of one point are pooled by ``points``.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import inf, isnan, nan

from pipeline.evaluation.metrics import PerQuery
from pipeline.evaluation.significance import LEVEL
from pipeline.records import FIRST_STAGE, SEARCHES
from pipeline.report.points import Point, labels, pool
from pipeline.report.uncertainty import (
    COLUMNS,
    Evidence,
    Gain,
    p_values_against,
    value_of,
    weigh,
)
from pipeline.tracking.reader import RunRecord

MEASURES = {"ndcg": "NDCG", "hit_rate": "Hit rate"}
GROUPS = ("none", "untrained", "dedicated", "scratch", "finetuned")
"""Values of the tag ``initialisation`` in the order of the published tables."""


@dataclass(frozen=True)
class Cell:
    """One figure of one point; NaN where there is none."""

    value: float = nan
    gain: float = nan  # over the search without reranking
    low: float = nan  # 95% interval of the relative gain, bootstrap over queries
    high: float = nan
    p_value: float = nan  # of the gain, Holm-corrected over the table
    best: bool = False
    as_good: bool = False  # not distinguishable from the best of the column
    spread: float = nan  # standard deviation over seeds
    p_baseline: float = nan  # of the difference to the named baseline, Holm over the table

    @property
    def significant(self) -> bool:
        """Whether the point differs from no reranking."""
        return self.p_value < LEVEL

    @property
    def differs(self) -> bool:
        """Whether the point differs from the named baseline."""
        return self.p_baseline < LEVEL

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
    half_width: dict[str, float]  # mode -> half the 95% interval without reranking

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
    """Runs that reranked the same search: finished points with figures, and the other runs."""

    runs: list[Point]
    labels: list[str]
    unfinished: list[RunRecord]
    qualities: list[Quality]  # largest cutoff first
    queries: int
    passages: str  # as logged, empty if not
    title: str  # the data set, and the search where there are several
    rerank_depth: int | None  # passages reranked for the largest cutoff; None: not logged
    latency_limit: int | None  # passages reranked when latency was measured
    baseline: str | None = None  # the label of the point that others are tested against

    def latency(self, run: RunRecord, mode: str = "vector", statistic: str = "p50") -> float:
        """Milliseconds of one query when ``latency_limit`` passages are reranked."""
        name = f"latency/{mode}_{self.latency_limit}/total_{statistic}_ms"
        return run.metrics.get(name, nan)


def compare(
    records: Sequence[RunRecord],
    read_per_query: Callable[[str], dict[str, PerQuery]],
    baseline: str | None = None,
    title: str | None = None,
) -> Comparison:
    """Compare the finished runs among ``records``, which ``by_first_stage`` has put together.

    ``read_per_query`` maps a run id to stage -> metric -> query id -> value and is called once
    per run. ``baseline`` is the name or id of one of the runs, against which the others are
    tested as well; nothing is, where no run of that name has finished. ``title`` says what they
    have in common, without it the data sets.
    """
    finished = sorted((r for r in records if r.status == "FINISHED"), key=_table_order)
    runs = pool(finished, read_per_query)
    cutoffs = _cutoffs(runs)
    cutoff = max(cutoffs, default=0)
    measures = [(name, k) for k in cutoffs for name in ("ndcg", "hit_rate")]
    metrics = [f"{measure}_at_{k}" for measure, k in measures]
    evidence = weigh(runs, metrics)
    named = [i for i, run in enumerate(runs) if baseline in (run.name, run.run_id)]
    against = p_values_against(runs, named[0], metrics) if named else {}
    return Comparison(
        runs=runs,
        labels=labels(runs),
        unfinished=[r for r in records if r.status != "FINISHED"],
        qualities=[_quality(runs, measure, k, evidence, against) for measure, k in measures],
        queries=next((len(run.values.queries) for run in runs if run.values.queries), 0),
        passages=next((r.params["data.corpus"] for r in runs if "data.corpus" in r.params), ""),
        title=title or " and ".join(sorted({dataset(run) for run in runs})),
        rerank_depth=max((d for run in runs if (d := rerank_depth(run, cutoff))), default=None),
        latency_limit=_latency_limit(runs, cutoff),
        baseline=labels(runs)[named[0]] if named else None,
    )


def by_first_stage(records: Sequence[RunRecord]) -> dict[str, list[RunRecord]]:
    """Title -> the runs that can be compared: on the same data set, searched in the same way.

    At least one list, which may be empty. The title names the data set, and the parameters of the
    search where one data set was searched in several ways. A run that ended before its data set
    was fingerprinted goes with the first of the same name.
    """
    parts: dict[tuple[str, ...], list[RunRecord]] = {}
    for run in records:
        if "data.fingerprint" in run.params:
            parts.setdefault(_first_stage(run), []).append(run)
    for run in records:
        if "data.fingerprint" not in run.params:
            same = (key for key in parts if key[0].split(" ")[0] == dataset(run))
            parts.setdefault(next(same, _first_stage(run)), []).append(run)
    return {_title(key, list(parts)): runs for key, runs in parts.items()} or {"": []}


def _first_stage(run: RunRecord) -> tuple[str, ...]:
    return dataset(run), *(run.params.get(name, "") for name in FIRST_STAGE)


def _title(key: tuple[str, ...], keys: Sequence[tuple[str, ...]]) -> str:
    """``pydocs 94b1751e, embedder.max_length=128``: the data set, and what tells it apart."""
    rivals = [other for other in keys if other[0] == key[0]]
    told = [
        f"{name}={value or '-'}"
        for i, (name, value) in enumerate(zip(FIRST_STAGE, key[1:], strict=True), start=1)
        if len({other[i] for other in rivals}) > 1
    ]
    return ", ".join([key[0], *told])


def natural(text: str) -> list[tuple[int, str]]:
    """A sort key that puts 2ep before 10ep."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", text)]


def _table_order(run: RunRecord) -> tuple[int, list[tuple[int, str]], str]:
    group = run.tags.get("initialisation", "")
    position = GROUPS.index(group) if group in GROUPS else len(GROUPS)
    return position, natural(run.name), run.params.get("seed", "")


def dataset(run: RunRecord) -> str:
    """``pydocs 94b1751e``: the name and the fingerprint, as far as they were logged."""
    name, fingerprint = run.tags.get("dataset", ""), run.params.get("data.fingerprint", "")
    return f"{name} {fingerprint[:8]}".strip()


def _numbers(runs: Sequence[RunRecord], pattern: str) -> list[int]:
    """The numbers that ``pattern`` captures from the names of the metrics, largest first."""
    names = {name for run in runs for name in run.metrics}
    found = (re.fullmatch(pattern, name) for name in names)
    return sorted({int(match[1]) for match in found if match}, reverse=True)


def _cutoffs(runs: Sequence[RunRecord]) -> list[int]:
    return _numbers(runs, rf"(?:{'|'.join(SEARCHES)})/ndcg_at_(\d+)")


def ceilings(comparison: Comparison, quality: Quality) -> dict[int, dict[str, float]]:
    """Candidates reranked -> search -> what they reach in ideal order; 0 for an unknown number."""
    found: dict[int, dict[str, float]] = {}
    for run, mode in product(comparison.runs, SEARCHES):
        value = run.metrics.get(f"{mode}_ideal/{quality.metric}")
        if value is not None:
            depth = rerank_depth(run, quality.cutoff) or 0
            found.setdefault(depth, {}).setdefault(mode, value)
    return dict(sorted(found.items()))


def rerank_depth(run: RunRecord, k: int) -> int | None:
    """How many candidates the run reranked for its result at ``k``; None if that was not logged."""
    depth = run.params.get("eval.depth", "null")
    overfetch = run.params.get("eval.overfetch", "")
    if depth.isdecimal():
        return int(depth)
    return int(overfetch) * k if overfetch.isdecimal() else None


def _latency_limit(runs: Sequence[RunRecord], cutoff: int) -> int | None:
    """The smallest number of passages timed that is no less than what the quality at ``cutoff``
    takes; the largest where all are less, and where that was not logged."""
    limits = sorted(_numbers(runs, r"latency/vector_(\d+)/total_p50_ms"))
    needed = max((d for run in runs if (d := rerank_depth(run, cutoff))), default=inf)
    return next((limit for limit in limits if limit >= needed), limits[-1] if limits else None)


def _quality(
    runs: Sequence[Point],
    measure: str,
    k: int,
    evidence: Evidence,
    against: Mapping[tuple[str, str], Mapping[int, float]],
) -> Quality:
    metric = f"{measure}_at_{k}"
    rows: list[dict[str, Cell]] = [{} for _ in runs]
    for column, mode in COLUMNS.items():
        values = [value_of(run, column, metric) for run in runs]
        highest = max((value for value in values if not isnan(value)), default=nan)
        as_good = evidence.as_good.get((column, metric), set())
        for i, row in enumerate(rows):
            gain = evidence.gains.get((i, column, metric), Gain(nan, nan, nan))
            row[column] = Cell(
                values[i],
                values[i] - runs[i].metrics.get(f"{mode}/{metric}", nan),
                gain.low,
                gain.high,
                gain.p_value,
                values[i] == highest,
                i in as_good,
                runs[i].spread(f"{column}/{metric}"),
                against.get((column, metric), {}).get(i, nan),
            )
    widths = {
        m: evidence.half_widths[m, metric] for m in SEARCHES if (m, metric) in evidence.half_widths
    }
    return Quality(measure, k, rows, widths)
