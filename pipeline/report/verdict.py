"""What to do, in three sentences, and the gain for every search at a glance.

A system is a point with one of its orders: reranked, or fused with the search's. The best is
taken over the systems that were compared, on the test queries; the p-values are corrected for
that choice (Holm over all systems).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan

import numpy as np

from pipeline.evaluation.significance import (
    LEVEL,
    enough_resamples,
    holm,
    intervals,
    randomisation_tests,
)
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
from pipeline.report.uncertainty import COLUMNS


@dataclass(frozen=True)
class System:
    """A point with one of its orders; ``column`` is one of COLUMNS."""

    point: int
    column: str
    cell: Cell
    latency: float  # milliseconds, p50 at the comparison's limit
    machine: str  # on which it was measured, "" if that was not logged

    @property
    def mode(self) -> str:
        """The search that it starts from."""
        return COLUMNS[self.column]


@dataclass(frozen=True)
class Glance:
    """One search: what it is alone and with the reranker that is best for it."""

    mode: str
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
    """The verdict on NDCG at the largest cutoff; says what is missing for it."""
    if not comparison.qualities:
        return Verdict(["There are no metrics to compare."], [], None)
    quality = comparison.qualities[0]
    systems = _systems(comparison, quality)
    glances = [_glance(comparison, quality, systems, mode) for mode in SEARCHES]
    glances = [glance for glance in glances if not isnan(glance.alone)]
    if not systems:
        return Verdict(["Nothing was reranked, so there is nothing to choose."], glances, None)
    best = _best(systems)
    sentences = [
        _quality_sentence(comparison, quality, best),
        _budget_sentence(comparison, quality, systems, glances, budget_ms),
        _worth_sentence(comparison, quality, systems, glances),
    ]
    return Verdict(sentences, glances, best)


def describe(comparison: Comparison, system: System) -> str:
    """``colbert_minilm_l6_2neg_1ep on FTS search, fused with its order``."""
    fused = ", fused with its order" if system.column.endswith("fused") else ""
    return f"{comparison.labels[system.point]} on {SEARCH_NAMES[system.mode]} search{fused}"


def _systems(comparison: Comparison, quality: Quality) -> list[System]:
    return [
        System(i, column, cell, comparison.latency(run, COLUMNS[column]), machine(run))
        for i, (run, row) in enumerate(zip(comparison.runs, quality.rows, strict=True))
        if run.group != "none"
        for column, cell in row.items()
        if not isnan(cell.value)
    ]


def _best(systems: Sequence[System]) -> System:
    return max(systems, key=lambda system: system.cell.value)


def _glance(
    comparison: Comparison, quality: Quality, systems: Sequence[System], mode: str
) -> Glance:
    name = f"{mode}/{quality.metric}"
    alone = [run.metrics[name] for run in comparison.runs if name in run.metrics]
    controls = [run for run in comparison.runs if run.group == "none"]
    latency = comparison.latency(controls[0], mode) if controls else nan
    mine = [system for system in systems if system.mode == mode]
    return Glance(mode, alone[0] if alone else nan, latency, _best(mine) if mine else None)


def _quality_sentence(comparison: Comparison, quality: Quality, best: System) -> str:
    cell = best.cell
    return (
        f"Best quality: {describe(comparison, best)}, with {quality.name} {number(cell.value)}, "
        f"{percent(cell.relative)} over that search alone (95% interval "
        f"{span(cell.low, cell.high)}, "
        f"{probability(cell.p_value)}{', ' + _chance(cell) if not isnan(cell.p_value) else ''})"
        f"{_as_good(comparison, quality, best)}."
    )


def _as_good(comparison: Comparison, quality: Quality, best: System) -> str:
    """``; a test can't tell 2 other rerankers from it``, empty if there are none."""
    rows = zip(comparison.runs, quality.rows, strict=True)
    others = sum(row[best.column].as_good for run, row in rows if run.group != "none")
    if not others or not best.cell.best:
        return ""
    return f"; a test can't tell {others} other reranker{'s' * (others > 1)} from it"


def _chance(cell: Cell) -> str:
    return "more than chance" if cell.significant else "not shown to be more than chance"


def _budget_sentence(
    comparison: Comparison,
    quality: Quality,
    systems: Sequence[System],
    glances: Sequence[Glance],
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
    for one in machines:
        here = [system for system in timed if system.machine == one]
        choice = _within(comparison, quality, here, glances, budget_ms)
        choices.append(f"on {one or 'a machine not logged'} {choice}" if machines[1:] else choice)
    return f"Best within {budget_ms:g} ms ({where}): {'; '.join(choices)}."


def _within(
    comparison: Comparison,
    quality: Quality,
    timed: Sequence[System],
    glances: Sequence[Glance],
    budget_ms: float,
) -> str:
    """The best of one machine's systems within the budget, and what the search alone reaches."""
    within = [system for system in timed if system.latency <= budget_ms]
    alone = max(glances, key=lambda glance: glance.alone, default=None)
    if not within:
        fastest = min(timed, key=lambda system: system.latency)
        text = (
            f"no reranker is that fast here, the fastest is {describe(comparison, fastest)} with "
            f"{milliseconds(fastest.latency)}"
        )
        if alone:
            text += f", and {SEARCH_NAMES[alone.mode]} search alone remains, {number(alone.alone)}"
        return text
    best = _best(within)
    text = (
        f"{describe(comparison, best)}, {quality.name} {number(best.cell.value)} in "
        f"{milliseconds(best.latency)}"
    )
    if alone and alone.alone >= best.cell.value:
        text += (
            f", which {SEARCH_NAMES[alone.mode]} search alone reaches too ({number(alone.alone)})"
        )
    return text


def _worth_sentence(
    comparison: Comparison, quality: Quality, systems: Sequence[System], glances: Sequence[Glance]
) -> str:
    alone = max(glances, key=lambda glance: glance.alone, default=None)
    if alone is None:
        return "Whether reranking is worth it: unknown, as no search was measured alone."
    share, low, high, p_value = _against(comparison, quality, systems, alone)
    yes = share > 0 and p_value < LEVEL
    opening = {
        True: "Reranking is worth it here",
        False: "Reranking is not shown to be worth it here",
    }[yes]
    by_search = [
        f"{SEARCH_NAMES[glance.mode]} {percent(glance.best.cell.relative)}"
        f" ({_chance(glance.best.cell)})"
        for glance in glances
        if glance.best is not None
    ]
    return (
        f"{opening}: the best system is {percent(share)} ({span(low, high)}, "
        f"{probability(p_value)}) against the best search alone, {SEARCH_NAMES[alone.mode]} "
        f"({number(alone.alone)}); the best reranker gains by search: {listed(by_search)}."
    )


def _against(
    comparison: Comparison, quality: Quality, systems: Sequence[System], alone: Glance
) -> tuple[float, float, float, float]:
    """The best system's gain over the search alone as a share, its interval and p-value.

    The best was chosen among all systems, so it is tested as one of them.
    """
    best = _best(systems)
    if best.mode == alone.mode:
        return best.cell.relative, best.cell.low, best.cell.high, best.cell.p_value
    metric, values = quality.metric, comparison.runs[best.point].values
    share = (best.cell.value - alone.alone) / alone.alone if alone.alone > 0 else nan
    treatment, base = values.of(best.column, metric), values.of(alone.mode, metric)
    if treatment is None or base is None:
        return share, nan, nan, nan
    tested = []
    for system in systems:
        run = comparison.runs[system.point]
        column = run.values.of(system.column, metric)
        if column is not None and run.values.queries == values.queries:
            tested.append((system is best, column - base))
    resamples = enough_resamples(len(tested))
    matrix = np.column_stack([difference for _, difference in tested])
    corrected = holm(randomisation_tests(matrix, resamples=resamples))
    p_value = next(p for p, (chosen, _) in zip(corrected, tested, strict=True) if chosen)
    (low,), (high,) = intervals(treatment[:, None], base[:, None])
    return share, low, high, p_value
