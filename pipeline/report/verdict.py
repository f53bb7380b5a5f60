"""Say what to do in three sentences, and what every search gains at a glance.

A system is a point with one of its orders: reranked, or fused with the search's. The best is
taken over the systems that were compared, on the test queries; the p-values are corrected for
that choice (Holm over all systems).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan

from pipeline.evaluation.significance import LEVEL
from pipeline.records import SEARCHES
from pipeline.report.comparison import Cell, Comparison, Quality
from pipeline.report.format import (
    SEARCH_NAMES,
    listed,
    milliseconds,
    number,
    percent,
    probability,
    span,
)
from pipeline.report.points import machine
from pipeline.report.uncertainty import COLUMNS, bootstrap, corrected_p_values, order_of


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


@dataclass(frozen=True)
class Verdict:
    """Sentences and figures; ``best`` is None where nothing was reranked."""

    sentences: list[str]
    glances: list[Glance]
    best: System | None


def judge(comparison: Comparison, budget_ms: float) -> Verdict:
    """Judge by NDCG at the largest cutoff; a sentence says what is missing for it."""
    if not comparison.qualities:
        return Verdict(["There are no metrics to compare."], [], None)
    quality = comparison.qualities[0]
    systems = _systems(comparison, quality)
    glances = [_glance(comparison, quality, systems, search) for search in SEARCHES]
    glances = [glance for glance in glances if not isnan(glance.alone)]
    if not systems:
        return Verdict(["Nothing was reranked, so there is nothing to choose."], glances, None)
    best = _best(systems)
    alone = max(glances, key=lambda glance: glance.alone, default=None)
    sentences = [
        _quality_sentence(comparison, quality, best),
        _budget_sentence(comparison, quality, systems, alone, budget_ms),
        _worth_sentence(comparison, quality, systems, glances, alone),
    ]
    return Verdict(sentences, glances, best)


def describe(comparison: Comparison, system: System) -> str:
    """Return ``colbert_minilm_l6_2neg_1ep on FTS search, fused with its order``."""
    fused = ", fused with its order" if order_of(system.column) == "fused" else ""
    return f"{comparison.labels[system.point]} on {SEARCH_NAMES[system.search]} search{fused}"


def _systems(comparison: Comparison, quality: Quality) -> list[System]:
    return [
        System(i, column, cell, comparison.latency(point, COLUMNS[column]), machine(point))
        for i, (point, row) in enumerate(zip(comparison.points, quality.rows, strict=True))
        if point.group != "none"
        for column, cell in row.items()
        if not isnan(cell.value)
    ]


def _best(systems: Sequence[System]) -> System:
    return max(systems, key=lambda system: system.cell.value)


def _glance(
    comparison: Comparison, quality: Quality, systems: Sequence[System], search: str
) -> Glance:
    points = comparison.points
    name = f"{search}/{quality.metric}"
    alone = next((point.metrics[name] for point in points if name in point.metrics), nan)
    control = next((point for point in points if point.group == "none"), None)
    latency = comparison.latency(control, search) if control else nan
    own = [system for system in systems if system.search == search]
    return Glance(search, alone, latency, _best(own) if own else None)


def _quality_sentence(comparison: Comparison, quality: Quality, best: System) -> str:
    cell = best.cell
    doubt = f"95% interval {span(cell.low, cell.high)}, {probability(cell.p_value)}"
    if not isnan(cell.p_value):
        doubt += f", {_chance(cell)}"
    rows = zip(comparison.points, quality.rows, strict=True)
    others = sum(row[best.column].as_good for point, row in rows if point.group != "none")
    rivals = ""
    if others and cell.best:
        rivals = f"; a test can't tell {others} other reranker{'s' * (others > 1)} from it"
    return (
        f"Best quality: {describe(comparison, best)}, with {quality.name} {number(cell.value)}, "
        f"{percent(cell.relative)} over that search alone ({doubt}){rivals}."
    )


def _chance(cell: Cell) -> str:
    return "more than chance" if cell.significant else "not shown to be more than chance"


def _budget_sentence(
    comparison: Comparison,
    quality: Quality,
    systems: Sequence[System],
    alone: Glance | None,
    budget_ms: float,
) -> str:
    timed = [system for system in systems if not isnan(system.latency)]
    if not timed:
        return f"Best within {budget_ms:g} ms: unknown, as latency was not measured."
    limit, depth = comparison.latency_limit, comparison.rerank_depth
    where = f"median of a query, {limit} passages reranked"
    if limit is not None and depth is not None and depth > limit:
        where += f", though the quality takes {depth}, which was not timed"
    machines = sorted({system.machine for system in timed})
    choices = []
    for name in machines:
        here = [system for system in timed if system.machine == name]
        choice = _within(comparison, quality, here, alone, budget_ms)
        if len(machines) > 1:
            choice = f"on {name or 'a machine not logged'} {choice}"
        choices.append(choice)
    return f"Best within {budget_ms:g} ms ({where}): {'; '.join(choices)}."


def _within(
    comparison: Comparison,
    quality: Quality,
    timed: Sequence[System],
    alone: Glance | None,
    budget_ms: float,
) -> str:
    """Say which of one machine's systems is best within the budget, or that none is."""
    within = [system for system in timed if system.latency <= budget_ms]
    if not within:
        fastest = min(timed, key=lambda system: system.latency)
        text = (
            f"no reranker is that fast, {describe(comparison, fastest)} takes "
            f"{milliseconds(fastest.latency)}"
        )
        if alone:
            name = SEARCH_NAMES[alone.search]
            text += f"; use {name} search alone ({quality.name} {number(alone.alone)})"
        return text
    best = _best(within)
    text = (
        f"{describe(comparison, best)}, {quality.name} {number(best.cell.value)} in "
        f"{milliseconds(best.latency)}"
    )
    if alone and alone.alone >= best.cell.value:
        name = SEARCH_NAMES[alone.search]
        text += f", but {name} search alone is as good ({number(alone.alone)})"
    return text


def _worth_sentence(
    comparison: Comparison,
    quality: Quality,
    systems: Sequence[System],
    glances: Sequence[Glance],
    alone: Glance | None,
) -> str:
    if alone is None:
        return "Whether reranking is worth it: unknown, as no search was measured alone."
    share, low, high, p_value = _against(comparison, quality, systems, alone)
    worth = share > 0 and p_value < LEVEL
    by_search = [
        f"{SEARCH_NAMES[glance.search]} {percent(glance.best.cell.relative)}"
        f" ({_chance(glance.best.cell)})"
        for glance in glances
        if glance.best is not None
    ]
    return (
        f"Reranking is {'' if worth else 'not shown to be '}worth it here: the best system is "
        f"{percent(share)} ({span(low, high)}, {probability(p_value)}) against the best search "
        f"alone, {SEARCH_NAMES[alone.search]} ({number(alone.alone)}); the best reranker gains by "
        f"search: {listed(by_search)}."
    )


def _against(
    comparison: Comparison, quality: Quality, systems: Sequence[System], alone: Glance
) -> tuple[float, float, float, float]:
    """Return the best system's gain over the search alone as a share, its interval and p-value.

    The best was chosen among all systems, so it is tested as one of them.
    """
    best = _best(systems)
    if best.search == alone.search:
        return best.cell.relative, best.cell.low, best.cell.high, best.cell.p_value
    metric, values = quality.metric, comparison.points[best.point].values
    share = (best.cell.value - alone.alone) / alone.alone if alone.alone > 0 else nan
    treatment, base = values.of(best.column, metric), values.of(alone.search, metric)
    if treatment is None or base is None:
        return share, nan, nan, nan
    differences = {}
    for system in systems:
        theirs = comparison.points[system.point].values
        column = theirs.of(system.column, metric)
        if column is not None and theirs.queries == values.queries:
            differences[system.point, system.column] = column - base
    p_value = corrected_p_values(differences)[best.point, best.column]
    low, high = bootstrap({"best": treatment}, {"best": base})["best"]
    return share, low, high, p_value
