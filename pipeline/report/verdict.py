"""Say what to do in a few sentences, and what every search gains at a glance.

A system is a point with one of its orders: reranked, or fused with the search's. The best is
taken over the systems that were compared, on the test queries; p-values and intervals are corrected
for that choice.
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
from pipeline.report.learning_curve import sentences as curve_sentences
from pipeline.report.points import model_of
from pipeline.report.systems import Glance, System, best_of, describe, glance_at, systems_of
from pipeline.report.uncertainty import corrected_p_values, relative_gains


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
    systems = systems_of(comparison, quality)
    glances = [glance_at(comparison, quality, systems, search) for search in SEARCHES]
    glances = [glance for glance in glances if not isnan(glance.alone)]
    if not systems:
        return Verdict(["Nothing was reranked, so there is nothing to choose."], glances, None)
    best = best_of(systems)
    alone = max(glances, key=lambda glance: glance.alone, default=None)
    sentences = [
        _quality_sentence(comparison, quality, systems, best),
        _budget_sentence(comparison, quality, systems, glances, budget_ms),
        _worth_sentence(comparison, quality, systems, glances, alone),
        *(curve_sentences(comparison, alone.search) if alone else []),
    ]
    return Verdict(sentences, glances, best)


def _quality_sentence(
    comparison: Comparison, quality: Quality, systems: Sequence[System], best: System
) -> str:
    cell = best.cell
    doubt = f"95% interval {span(*cell.chosen)}, {probability(cell.p_value)}"
    if not isnan(cell.p_value):
        doubt += f", {_chance(cell)}"
    doubt += f"; {_chosen_among(systems)}"
    next_best = _next_best(comparison, systems, best)
    return (
        f"Best quality: {describe(comparison, best)}, with {quality.name} {number(cell.value)}, "
        f"{percent(cell.relative)} over that search alone ({doubt}){next_best}."
    )


def _chosen_among(systems: Sequence[System]) -> str:
    if len(systems) == 1:
        return "nothing else was compared"
    return f"corrected for the choice among {len(systems)} systems"


def _next_best(comparison: Comparison, systems: Sequence[System], best: System) -> str:
    """Say how far the other models of the best system's column are from it."""
    model = model_of(comparison.points[best.point])
    others = [
        s
        for s in systems
        if s.column == best.column
        and model_of(comparison.points[s.point]) != model
        and not isnan(s.cell.to_best[1])
    ]
    if not others or not best.cell.best:
        return ""
    second = best_of(others)
    low, high = (-end for end in reversed(second.cell.to_best))
    behind = best.cell.value - second.cell.value
    ends = span(low, high, ".3f")
    text = f"; the next reranker there is {behind:.3f} behind (95% interval {ends})"
    reaching = sum(system.cell.as_good for system in others)
    if reaching > 1:
        text += f", and the intervals of {reaching} include 0"
    return text


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
    limits = " or ".join(map(str, comparison.limits))
    where = f"median of a query, {limits} passages reranked, chosen among {len(timed)} systems"
    if comparison.depths and comparison.depths[-1] > comparison.limits[-1]:
        where += f", though the quality takes {comparison.depths[-1]}, which was not timed"
    machines = sorted({system.machine for system in timed})
    choices = []
    for name in machines:
        here = [system for system in timed if system.machine == name]
        choice = _within(comparison, quality, here, glances, budget_ms)
        if len(machines) > 1:
            choice = f"on {name or 'a machine not logged'} {choice}"
        choices.append(choice)
    return f"Best within {budget_ms:g} ms ({where}): {'; '.join(choices)}."


def _within(
    comparison: Comparison,
    quality: Quality,
    timed: Sequence[System],
    glances: Sequence[Glance],
    budget_ms: float,
) -> str:
    """Say which of one machine's systems is best within the budget, or that none is."""
    quick = [glance for glance in glances if not glance.latency > budget_ms]  # or not timed
    alone = max(quick, key=lambda glance: glance.alone, default=None)
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
        elif glances:
            text += ", and no search alone is"
        return text
    best = best_of(within)
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
    worth = low > 0 and p_value < LEVEL  # near the level, test and interval may disagree
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

    The best was chosen among all systems, so it is tested and bounded as one of them.
    """
    best = best_of(systems)
    if best.search == alone.search:
        return best.cell.relative, *best.cell.chosen, best.cell.p_value
    metric, values = quality.metric, comparison.points[best.point].values
    share = (best.cell.value - alone.alone) / alone.alone if alone.alone > 0 else nan
    base = values.of(alone.search, metric)
    if base is None or values.of(best.column, metric) is None:
        return share, nan, nan, nan
    columns = {}
    for system in systems:
        theirs = comparison.points[system.point].values
        column = theirs.of(system.column, metric)
        if column is not None and theirs.queries == values.queries:
            columns[system.point, system.column] = column
    place = best.point, best.column
    p_values = corrected_p_values({key: column - base for key, column in columns.items()})
    _, chosen = relative_gains(columns, dict.fromkeys(columns, base))
    return share, *chosen[place], p_values[place]
