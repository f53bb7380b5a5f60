"""What two runs differ in, as numbers; ``show`` and ``page`` turn them into text. Pure.

Differences are B minus A. They are paired over queries where both runs were evaluated on the
same data (params ``data.fingerprint``), else only the means stand side by side.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan

from pipeline.evaluation.metrics import PerQuery
from pipeline.evaluation.significance import PairedDifference, paired_difference
from pipeline.report.comparison import natural
from pipeline.report.uncertainty import COLUMNS
from pipeline.tracking.artifacts import Text
from pipeline.tracking.reader import RunRecord

DISAGREEMENTS = 10  # queries shown for either run
MEASURES = ("ndcg", "hit_rate")
COSTS = re.compile(
    r"train/(?:seconds|steps|pairs_seen|peak_mib)|eval/seconds"
    r"|latency/(?:vector|fts|hybrid)_\d+/total_p(?:50|95)_ms"
)
# What two runs of the same experiment differ in without being another experiment.
NOT_COMPARED = re.compile(r"run_name|grid|output_dir|tracking\..*|fingerprint|stage\..*")


@dataclass(frozen=True)
class Row:
    """One metric, named as MLflow has it; NaN where a run lacks it.

    ``difference`` is None where the runs are not paired; ``better_a``, ``equal`` and
    ``better_b`` count its queries.
    """

    name: str
    a: float
    b: float
    difference: PairedDifference | None = None
    better_a: int = 0
    equal: int = 0
    better_b: int = 0


@dataclass(frozen=True)
class Case:
    """A query on which the runs disagree: both values and, where they are stored, texts.

    ``first_a`` and ``first_b`` are the passages that each ranked first.
    """

    query_id: str
    a: float
    b: float
    query: str = ""
    relevant: str = ""
    first_a: str = ""
    first_b: str = ""


@dataclass(frozen=True)
class Stored:
    """A run with what is stored of its queries: stage -> metric -> query id -> value, texts."""

    run: RunRecord
    per_query: Mapping[str, PerQuery]
    texts: Sequence[Text] = ()

    def stage(self, column: str) -> str:
        """Where the figures of ``column`` are: the search alone stands in for the control."""
        return COLUMNS[column] if self.run.tags.get("initialisation") == "none" else column


@dataclass(frozen=True)
class Difference:
    """Everything that is shown of two runs."""

    a: RunRecord
    b: RunRecord
    config: list[tuple[str, str, str]]  # key and both values, "-" where a run has none
    quality: list[Row]  # largest cutoff first
    costs: list[Row]
    queries: int  # that the runs are paired over, 0 if they are not
    unpaired: str  # why they are not, else empty
    metric: str  # of the cases, as vector_reranked/ndcg_at_10
    better_a: list[Case]  # largest difference first
    better_b: list[Case]


def differ(a: Stored, b: Stored, search: str) -> Difference:
    """Compare the runs; the cases are queries of ``search`` (vector, fts or hybrid)."""
    unpaired = _unpaired(a, b)
    quality = [
        _row(a, b, column, f"{measure}_at_{k}", paired=not unpaired)
        for k in _cutoffs(a, b)
        for measure in MEASURES
        for column in COLUMNS
    ]
    found = {n for run in (a.run, b.run) for n in run.metrics if COSTS.fullmatch(n)}
    costs = sorted(found, key=lambda name: (name.startswith("latency"), natural(name)))
    column = f"{search}_reranked"
    metric = f"{MEASURES[0]}_at_{max(_cutoffs(a, b), default=0)}"
    cases = [] if unpaired else _cases(a, b, column, metric)
    values = a.per_query.get(a.stage(column), {}).get(metric, {})
    return Difference(
        a=a.run,
        b=b.run,
        config=_config(a.run.params, b.run.params),
        quality=quality,
        costs=[Row(n, a.run.metrics.get(n, nan), b.run.metrics.get(n, nan)) for n in costs],
        queries=0 if unpaired else len(values),
        unpaired=unpaired,
        metric=f"{column}/{metric}",
        better_a=[case for case in cases if case.a > case.b][:DISAGREEMENTS],
        better_b=[case for case in cases if case.b > case.a][:DISAGREEMENTS],
    )


def _unpaired(a: Stored, b: Stored) -> str:
    ours, theirs = (s.run.params.get("data.fingerprint") for s in (a, b))
    if ours is None or theirs is None:
        return "a run has not recorded the fingerprint of its data"
    if ours != theirs:
        return f"the runs are on different data ({ours[:8]} and {theirs[:8]})"
    if not a.per_query or not b.per_query:
        return "a run has no per-query values"
    return ""


def _row(a: Stored, b: Stored, column: str, metric: str, *, paired: bool) -> Row:
    name = f"{column}/{metric}"
    mean_a, mean_b = (s.run.metrics.get(f"{s.stage(column)}/{metric}", nan) for s in (a, b))
    ours, theirs = (s.per_query.get(s.stage(column), {}).get(metric, {}) for s in (a, b))
    if not paired or not ours or ours.keys() != theirs.keys():
        return Row(name, mean_a, mean_b)
    signs = [theirs[query] - value for query, value in ours.items()]
    return Row(
        name,
        mean_a,
        mean_b,
        paired_difference(theirs, ours),
        better_a=sum(sign < 0 for sign in signs),
        equal=sum(sign == 0 for sign in signs),
        better_b=sum(sign > 0 for sign in signs),
    )


def _cases(a: Stored, b: Stored, column: str, metric: str) -> list[Case]:
    """All queries of both runs, the largest difference first."""
    ours, theirs = (s.per_query.get(s.stage(column), {}).get(metric, {}) for s in (a, b))
    shown = [{(t.query_id, t.role): t.passage for t in reversed(s.texts)} for s in (a, b)]
    queries = {text.query_id: text.query for s in (a, b) for text in s.texts}

    def case(query: str) -> Case:
        return Case(
            query,
            ours[query],
            theirs[query],
            queries.get(query, ""),
            shown[0].get((query, "relevant")) or shown[1].get((query, "relevant"), ""),
            shown[0].get((query, a.stage(column)), ""),
            shown[1].get((query, b.stage(column)), ""),
        )

    both = ours.keys() & theirs.keys()
    return [case(q) for q in sorted(both, key=lambda q: (-abs(theirs[q] - ours[q]), q))]


def _config(a: Mapping[str, str], b: Mapping[str, str]) -> list[tuple[str, str, str]]:
    return [
        (key, a.get(key, "-"), b.get(key, "-"))
        for key in sorted(a.keys() | b.keys())
        if a.get(key) != b.get(key) and not NOT_COMPARED.fullmatch(key)
    ]


def _cutoffs(a: Stored, b: Stored) -> list[int]:
    """The cutoffs that both runs have, largest first."""
    found = [
        {int(m[1]) for name in s.run.metrics if (m := re.fullmatch(r"\w+/ndcg_at_(\d+)", name))}
        for s in (a, b)
    ]
    return sorted(found[0] & found[1], reverse=True)
