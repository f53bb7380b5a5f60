"""Section "Tables": NDCG and hit rate of every point, at every cutoff.

The texts that the terminal, the page and markdown share are made here.
"""

from math import isnan, nan

from pipeline.evaluation.significance import LEVEL
from pipeline.records import SEARCHES
from pipeline.report.blocks import QualityTable, Section, Table
from pipeline.report.comparison import Cell, Comparison, Quality, ceilings
from pipeline.report.format import (
    MISSING,
    SEARCH_NAMES,
    duration,
    listed,
    milliseconds,
    number,
    percent,
    probability,
    span,
)
from pipeline.report.points import Point
from pipeline.report.reads import reads
from pipeline.report.sections import trained
from pipeline.report.study import Study
from pipeline.report.systems import Glance
from pipeline.report.uncertainty import COLUMNS, order_of

COSTS = ("p50 ms", "train")
COLUMN_HEADS = {
    column: search if order_of(column) == "reranked" else "fused"
    for column, search in COLUMNS.items()
}


def section(study: Study) -> Section | None:
    """Explain the marks, and show a table for every measure and cutoff."""
    comparison = study.comparison
    if not comparison.qualities:
        return None
    baseline = ""
    if comparison.baseline is not None:
        baseline = f" †: differs from {comparison.baseline}, p < {LEVEL}."
    legend = (
        "Bold: best of the column. ≈: the 95% interval of its difference to the best includes 0. "
        f"*: differs from the search alone, p < {LEVEL}.{baseline} Tests are paired randomisation "
        "tests, corrected over the table (Westfall and Young's max-T). With each value: its gain "
        "over the search alone. The HTML page adds the 95% intervals of the gain and of the "
        "difference to the best (bootstrap over queries)."
    )
    columns = (
        "Each search has two columns: the reranker's order, and that order fused with the "
        "search's own. The ceiling is what that many candidates reach in ideal order: no reranker "
        "gets higher."
    )
    found = [QualityTable(comparison, quality) for quality in comparison.qualities]
    return Section("Tables", [legend, columns, *found])


def facts(comparison: Comparison) -> list[str]:
    """Say what was compared: queries, passages, the candidates' ceiling, what was timed."""
    if not comparison.points:
        return ["no run of this sweep has finished"]
    runs = len(comparison.points)
    over = f" over {int(comparison.passages):,} passages" if comparison.passages else ""
    queries = (
        f"{comparison.queries:,} queries{over}" if comparison.queries else "no per-query values"
    )
    lines = [f"{runs} run{'s' * (runs > 1)} on {comparison.title}: {queries}"]
    if lengths := reads(comparison.points):
        lines.append(lengths)
    if shared := trained.note(comparison):
        lines.append(shared)
    for quality in comparison.qualities[:1]:
        for depth, by_search in ceilings(comparison, quality).items():
            values = ", ".join(f"{search} {value:.3f}" for search, value in by_search.items())
            candidates = f"the {depth or '?'} candidates in ideal order"
            lines.append(f"ceiling ({quality.name} of {candidates}): {values}")
    if comparison.limits:
        limits = " or ".join(map(str, comparison.limits))
        lines.append(f"p50 ms: median of one vector query, {limits} passages reranked")
    else:
        lines.append("latency was not measured")
    return lines


def glance(study: Study) -> Table | None:
    """Show per search what it reaches alone and with the reranker that is best for it."""
    if not study.verdict.glances:
        return None
    heads = [
        "search",
        "best reranker",
        "alone",
        "reranked",
        "gain",
        "95% interval of the gain",
        "more than chance?",
        "p50 alone",
        "p50 reranked",
    ]
    rows = [_glance_row(study.comparison, one) for one in study.verdict.glances]
    measure = study.comparison.qualities[0].name
    return Table(f"The best reranker for every search, by {measure}", heads, rows, names=2)


def _glance_row(comparison: Comparison, one: Glance) -> list[str]:
    best = one.best
    if best is None:
        name, figures = MISSING, [MISSING] * 4
    else:
        cell = best.cell
        name = f"{comparison.labels[best.point]}, {order_of(best.column)}"
        chance = "yes" if cell.significant else "not shown"
        figures = [
            number(cell.value),
            percent(cell.relative),
            span(*cell.chosen),
            MISSING if isnan(cell.p_value) else f"{chance} ({probability(cell.p_value)})",
        ]
    times = [milliseconds(one.latency), milliseconds(best.latency if best else nan)]
    return [SEARCH_NAMES[one.search], name, number(one.alone), *figures, *times]


def title(quality: Quality) -> str:
    """``NDCG@10 (95% interval of no reranking: vector ±0.043 ...)``."""
    widths = ", ".join(f"{search} ±{width:.3f}" for search, width in quality.half_width.items())
    return f"{quality.name} (95% interval of no reranking: {widths})" if widths else quality.name


def heads(comparison: Comparison) -> list[str]:
    """Return the heads of a table as on the terminal and in markdown, without unknown costs."""
    known = [costs_of(comparison, point) for point in comparison.points]
    costs = [head for head in COSTS if any(cost[head] != MISSING for cost in known)]
    return ["group", "run", *COLUMN_HEADS.values(), *costs]


def costs_of(comparison: Comparison, point: Point) -> dict[str, str]:
    """Return the text of every cost by its head, a dash for what was not measured."""
    return {
        "p50 ms": milliseconds(comparison.latency(point)).removesuffix(" ms"),
        "train": duration(point.metrics.get("train/seconds")),
    }


def searches(comparison: Comparison, quality: Quality) -> list[tuple[str, str]]:
    """Return every search's name with its ceiling, as the page shows them above the columns."""
    found = []
    by_depth = ceilings(comparison, quality)
    for search in SEARCHES:
        parts = [
            f"{number(values[search])} of {depth or '?'}"
            for depth, values in by_depth.items()
            if search in values
        ]
        ceiling = listed(parts) if parts else "not logged"
        found.append((SEARCH_NAMES[search], f"ceiling {ceiling}"))
    return found


def cell(figure: Cell) -> dict[str, str | list[str]]:
    """Write one figure as the page shows it: class, value, mark, and the lines below."""
    if isnan(figure.value):
        return {"kind": "", "value": MISSING, "mark": "", "lines": []}
    kinds = ["best"] * figure.best + ["asgood"] * figure.as_good
    if figure.significant:
        kinds.append("up" if figure.gain > 0 else "down")
    low, high = figure.to_best
    lines = [
        "" if isnan(figure.p_value) else percent(figure.relative),
        "" if isnan(figure.low + figure.high) else f"[{span(figure.low, figure.high, joint=', ')}]",
        "" if isnan(low + high) else f"to best [{span(low, high, '+.3f', ', ')}]",
        "" if isnan(figure.spread) else f"± {figure.spread:.3f} over seeds",
    ]
    return {
        "kind": " ".join(kinds),
        "value": number(figure.value),
        "mark": marks(figure),
        "lines": [line for line in lines if line],
    }


def marks(cell: Cell) -> str:
    """Return ``*``: differs from no reranking, ``†``: from the baseline, ``≈``: rivals the best."""
    return "*" * cell.significant + "†" * cell.differs + "≈" * cell.as_good
