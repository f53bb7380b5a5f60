"""Compare two systems query by query, as numbers.

A is the baseline and B is compared with it: every difference is B minus A. All inputs are plain
values, so it makes no difference whether a system was recorded in MLflow or just measured.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf, isnan, nan

from pipeline.evaluation.bootstrap import interval
from pipeline.evaluation.significance import LEVEL, PairedDifference, paired_difference
from pipeline.records import Qrels

SHOWN = 10  # queries below a heading


@dataclass(frozen=True)
class Side:
    """One of the two systems.

    ``means`` maps a metric to its mean over the queries, ``values`` maps it to query id -> value
    in 0..1; a metric may lack values. ``ranking`` maps a query id to passage ids, best first.
    """

    means: Mapping[str, float]
    values: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    ranking: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Texts:
    """What is known of the queries and passages, by id."""

    queries: Mapping[str, str]
    passages: Mapping[str, str]
    qrels: Qrels


@dataclass(frozen=True)
class Row:
    """One figure of both systems; NaN where a system lacks it.

    ``difference`` is None where the systems can't be compared query by query. ``wins``, ``ties``
    and ``losses`` count the queries on which B is better, equal and worse. ``low``..``high`` is
    the 95% interval of ``b``; ``alone`` is the search without reranking.
    """

    name: str
    a: float
    b: float
    low: float = nan
    high: float = nan
    alone: float = nan
    difference: PairedDifference | None = None
    wins: int = 0
    ties: int = 0
    losses: int = 0

    @property
    def gain(self) -> float:
        """(B - A) / A, so 0.05 is 5% more; infinite over an A of 0."""
        change = self.b - self.a if self.difference is None else self.difference.mean
        if isnan(change):
            return nan
        if self.a == 0:
            return inf if change > 0 else 0.0
        return change / self.a

    @property
    def significant(self) -> bool:
        """Whether the difference is more than chance."""
        return self.difference is not None and self.difference.p_value < LEVEL

    @property
    def direction(self) -> str:
        """``up`` where B is better, ``down`` where A is, empty if that may be chance."""
        if not self.significant:
            return ""
        return "up" if self.b > self.a else "down"


@dataclass(frozen=True)
class Answer:
    """What one system makes of a query.

    ``rank`` is that of the case's relevant passage, None if the system did not rank it. Where
    the ranking is not known, ``rank`` is None and ``first_id`` empty.
    """

    value: float
    rank: int | None
    first_id: str
    first: str


@dataclass(frozen=True)
class Case:
    """One query with its best-graded relevant passage, by id among equals.

    Texts and ids that are not known are empty.
    """

    query_id: str
    query: str
    relevant_id: str
    relevant: str
    reachable: bool  # B ranked a relevant passage at all
    a: Answer | None
    b: Answer

    @property
    def change(self) -> float:
        """B minus A; B's value where there is no A."""
        return self.b.value - (self.a.value if self.a else 0.0)


@dataclass(frozen=True)
class Difference:
    """Everything that is shown of two systems.

    ``cases`` are lists of queries, each with its heading. ``unpaired`` says why only means are
    compared, if so. ``config`` holds a key and both values.
    """

    title: str
    labels: tuple[str, str]  # what A and B are called in tables
    about: Sequence[str]  # what was compared, in lines
    rows: Sequence[Row]
    cases: Sequence[tuple[str, Sequence[Case]]]
    further_rows: Sequence[Row] = ()  # smaller cutoffs, for the page
    unpaired: str = ""
    config: Sequence[tuple[str, str, str]] | None = None
    costs: Sequence[Row] = ()


def compare(metric: str, a: Side | None, b: Side, alone: float = nan) -> Row:
    """Compute the figures of one metric; seeds are fixed, so they repeat."""
    baseline = a.values.get(metric, {}) if a else {}
    values = b.values.get(metric, {})
    low, high = interval(values) if values else (nan, nan)
    row = Row(
        name=metric,
        a=a.means.get(metric, nan) if a else nan,
        b=b.means.get(metric, nan),
        low=low,
        high=high,
        alone=alone,
    )
    if not values or values.keys() != baseline.keys():
        return row
    changes = [values[query] - value for query, value in baseline.items()]
    return replace(
        row,
        difference=paired_difference(values, baseline),
        wins=sum(change > 0 for change in changes),
        ties=sum(change == 0 for change in changes),
        losses=sum(change < 0 for change in changes),
    )


def cases(metric: str, a: Side | None, b: Side, texts: Texts) -> list[Case]:
    """Collect the queries that both systems have a value for, sorted by id."""
    queries = set(b.values.get(metric, {}))
    if a:
        queries &= a.values.get(metric, {}).keys()
    found = []
    for query in sorted(queries):
        gains = texts.qrels.get(query, {})
        best = min(gains, key=lambda passage: (-gains[passage], passage), default="")
        found.append(
            Case(
                query_id=query,
                query=texts.queries.get(query, ""),
                relevant_id=best,
                relevant=texts.passages.get(best, ""),
                reachable=not gains.keys().isdisjoint(b.ranking.get(query, ())),
                a=_answer(query, metric, a, texts, best) if a else None,
                b=_answer(query, metric, b, texts, best),
            )
        )
    return found


def disagreements(found: Sequence[Case], count: int = SHOWN) -> tuple[list[Case], list[Case]]:
    """Choose the queries on which A is better and those on which B is, largest change first."""
    ordered = sorted(found, key=lambda case: (-abs(case.change), case.query_id))
    a_better = [case for case in ordered if case.change < 0]
    b_better = [case for case in ordered if case.change > 0]
    return a_better[:count], b_better[:count]


def worst(found: Sequence[Case], count: int = SHOWN) -> list[Case]:
    """Choose the queries with the lowest values of B, the largest loss against A first.

    Only reachable queries below 1, the most that a metric can be: on the others no reranker can
    do better.
    """
    improvable = [case for case in found if case.reachable and case.b.value < 1]
    return sorted(improvable, key=lambda case: (case.b.value, case.change, case.query_id))[:count]


def _answer(query: str, metric: str, system: Side, texts: Texts, relevant: str) -> Answer:
    ranking = list(system.ranking.get(query, ()))
    first = ranking[0] if ranking else ""
    return Answer(
        value=system.values[metric][query],
        rank=ranking.index(relevant) + 1 if relevant in ranking else None,
        first_id=first,
        first=texts.passages.get(first, ""),
    )
