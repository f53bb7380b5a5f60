"""The sections of the page about quality and latency: paragraphs, figures and tables."""

from math import isnan, nan

from pipeline.records import SEARCHES
from pipeline.report import plotting as figures
from pipeline.report.blocks import Figure, Section, Table
from pipeline.report.comparison import Cell, Comparison, Quality, ceilings
from pipeline.report.format import (
    MISSING,
    SEARCH_NAMES,
    listed,
    milliseconds,
    number,
    percent,
    probability,
    span,
)
from pipeline.report.sections.ablations import Ablation
from pipeline.report.sections.ablations import ablations as find_ablations
from pipeline.report.sections.latency import Device, devices
from pipeline.report.sections.queries import Stored, changes, tallies
from pipeline.report.uncertainty import COLUMNS
from pipeline.report.verdict import Verdict, describe

AXES = {"arch": "Architecture", "base": "Base", "negatives": "Negatives", "epochs": "Epochs"}
KINDS = {"cpu": "CPU", "cuda": "GPU", "mps": "Apple GPU", "": "Machine not logged"}


def heads(comparison: Comparison, quality: Quality) -> list[tuple[str, str]]:
    """For every search its name and the ceiling: what is reranked, in ideal order."""
    found = []
    logged = ceilings(comparison, quality)
    for mode in SEARCHES:
        parts = [
            f"{number(of[mode])} of {depth or '?'}" for depth, of in logged.items() if mode in of
        ]
        found.append((SEARCH_NAMES[mode], f"ceiling {listed(parts) if parts else 'not logged'}"))
    return found


def cell(figure: Cell) -> dict[str, str]:
    """How one figure of the tables is written: class, value, mark and what stands below."""
    if isnan(figure.value):
        return {"kind": "", "value": MISSING, "mark": "", "gain": "", "interval": "", "spread": ""}
    kinds = ["best"] * figure.best + ["asgood"] * figure.as_good
    if figure.significant:
        kinds.append("up" if figure.gain > 0 else "down")
    tested = not isnan(figure.p_value)
    return {
        "kind": " ".join(kinds),
        "value": number(figure.value),
        "mark": "*" * figure.significant + "†" * figure.differs + "≈" * figure.as_good,
        "gain": percent(figure.relative) if tested else "",
        "interval": f"[{figure.low:+.1%}, {figure.high:+.1%}]"
        if not isnan(figure.low + figure.high)
        else "",
        "spread": f"± {figure.spread:.3f} over seeds" if not isnan(figure.spread) else "",
    }


def glance(comparison: Comparison, verdict: Verdict) -> Table | None:
    """One row a search: what it is alone and what the best reranker makes of it."""
    if not verdict.glances:
        return None
    quality = comparison.qualities[0]
    rows = []
    for seen in verdict.glances:
        row = [SEARCH_NAMES[seen.mode]]
        if seen.best is None:
            row += [MISSING, number(seen.alone), *[MISSING] * 4]
        else:
            figure = seen.best.cell
            order = "fused" if seen.best.column.endswith("fused") else "reranked"
            chance = "yes" if figure.significant else "not shown"
            chance = (
                MISSING if isnan(figure.p_value) else f"{chance} ({probability(figure.p_value)})"
            )
            row += [f"{comparison.labels[seen.best.point]}, {order}", number(seen.alone)]
            row += [number(figure.value), percent(figure.relative)]
            row += [span(figure.low, figure.high), chance]
        slow = seen.best.latency if seen.best else nan
        rows.append([*row, milliseconds(seen.latency), milliseconds(slow)])
    measure = quality.name
    return Table(
        f"The best reranker for every search, by {measure}",
        [
            "search",
            "best reranker",
            "alone",
            "reranked",
            "gain",
            "95% interval of the gain",
            "more than chance?",
            "p50 alone",
            "p50 reranked",
        ],
        rows,
        names=2,
    )


def ablations(comparison: Comparison, prefix: str) -> Section:
    """One figure for every axis along which runs can be compared."""
    column, found = find_ablations(comparison)
    quality = comparison.qualities[0]
    measure = quality.name
    if not found:
        text = "No two runs differ in one axis only, so nothing can be compared."
        return Section("Ablations", [text])
    order = "fused with its order" if column.endswith("fused") else "reranked"
    shown = [
        f"{measure} of {SEARCH_NAMES[COLUMNS[column]]} search, {order}. A line joins runs that "
        "differ in this axis only; bars are 95% intervals over queries. More negatives or epochs "
        "are also more steps or pairs, which is why those stand beside them."
    ]
    missing = [AXES[axis].lower() for axis in AXES if axis not in {f.axis for f in found}]
    if missing:
        shown.append(f"Not varied with the rest held fixed: {', '.join(missing)}.")
    drawn = [_ablation(a, measure, f"{prefix}-{a.axis}") for a in found]
    return Section("Ablations", shown, drawn)


def _ablation(found: Ablation, measure: str, identifier: str) -> Figure:
    rows = [
        [
            series.fixed,
            point.level,
            number(point.value),
            MISSING if isnan(point.low) else f"{point.low:.3f} to {point.high:.3f}",
            number(point.steps, ",.0f"),
            number(point.pairs, ",.0f"),
        ]
        for series in found.series
        for point in series.points
    ]
    name = AXES[found.axis]
    best = max((p for s in found.series for p in s.points), key=lambda point: point.value)
    count = len(found.series)
    text = (
        f"{name}: {measure} at {', '.join(found.levels)}; {count} "
        f"{'line' if count == 1 else 'lines'}; highest {number(best.value)} ({best.label})"
    )
    tuned = sorted({name for series in found.series for name in series.tuned})
    if tuned:
        text += f"; {listed(tuned)} differ as well"
    heads = ["held fixed", found.axis, measure, "95% interval", "steps", "pairs seen"]
    table = Table(f"{name}, as figures", heads, rows, names=2)
    return Figure(figures.ablation(found, measure, identifier), text, table)


def latency(comparison: Comparison, budget_ms: float, prefix: str) -> Section:
    """A figure for every machine."""
    found = devices(comparison)
    if not found:
        return Section("Quality against latency", ["Latency was not measured."])
    quality = comparison.qualities[0]
    measure = quality.name
    text = (
        f"One query at a time on the serving path. A mark is the median (p50), its bar reaches to "
        f"p95; the dotted line is the budget of {budget_ms:g} ms. {measure} is that of the tables, "
        "whatever the depth that was timed. On the dashed Pareto front nothing is at once faster "
        "and better."
    )
    drawn = [
        _device(device, measure, budget_ms, f"{prefix}-latency-{i}")
        for i, device in enumerate(found)
    ]
    return Section("Quality against latency", [text], drawn)


def _device(device: Device, measure: str, budget_ms: float, identifier: str) -> Figure:
    times: dict[tuple[str, str], dict[str, str]] = {}  # fusing takes no time of its own
    for system in device.systems:
        row = times.setdefault((system.label, system.mode), {})
        row["reranked" if system.order == "alone" else system.order] = number(system.quality)
        row[f"p50 of {system.limit}"] = milliseconds(system.p50)
        row[f"p95 of {system.limit}"] = milliseconds(system.p95)
    names = ["reranked", "fused"]
    names += [f"{p} of {limit}" for limit in device.limits for p in ("p50", "p95")]
    rows = [
        [label, SEARCH_NAMES[mode], *(row.get(name, MISSING) for name in names)]
        for (label, mode), row in times.items()
    ]
    front = [f"{s.label} ({SEARCH_NAMES[s.mode]}, {s.order})" for s in device.systems if s.front]
    name = f"{KINDS.get(device.kind, device.kind)}{f' ({device.name})' if device.name else ''}"
    text = f"{name}: {measure} against latency; on the Pareto front: "
    text += ", ".join(dict.fromkeys(front))
    caption = f"{name}: {measure}, and latency by the number of passages reranked"
    table = Table(caption, ["run", "search", *names], rows, names=2)
    return Figure(figures.tradeoff(device, measure, budget_ms, identifier), text, table)


def queries(comparison: Comparison, verdict: Verdict, stored: Stored, prefix: str) -> Section:
    """Wins and losses of every run; ranks and examples of the best."""
    quality = comparison.qualities[0]
    measure = quality.name
    counted = tallies(comparison)
    rows = [
        [label, *(f"{t.won} / {t.lost} / {t.tied}" for t in tally.values())]
        for label, tally in zip(comparison.labels, counted, strict=True)
        if len(tally) == len(COLUMNS)
    ]
    title = "Where the gain comes from"
    if not rows or verdict.best is None:
        return Section(title, ["No per-query values are stored, so this can't be said."])
    names = [f"{SEARCH_NAMES[mode]} {column.split('_')[1]}" for column, mode in COLUMNS.items()]
    caption = f"Queries won / lost / tied against the search alone, by {measure}"
    tables = [Table(caption, ["run", *names], rows)]
    ranks, wins, losses = changes(comparison, verdict.best, stored)
    system = describe(comparison, verdict.best)
    said = [f"Ranks and examples are those of the best: {system}."]
    best = comparison.runs[verdict.best.point]
    if len(best.runs) > 1:
        seed = best.runs[0].params.get("seed", "?")
        said.append(f"Ranks and texts are of seed {seed}, differences means over the seeds.")
    drawn = []
    if ranks is None:
        said.append("Its run files are not stored, so there are no ranks.")
    else:
        pairs = zip(ranks.bins, ranks.before, ranks.after, strict=True)
        table = Table(
            "Queries by the rank of their first relevant passage, as figures",
            ["rank", "search alone", "reranked"],
            [[name, f"{before:,}", f"{after:,}"] for name, before, after in pairs],
        )
        first = f"{ranks.before[0]:,} queries before reranking and {ranks.after[0]:,} after"
        text = f"Rank of the relevant passage; at rank 1 in {first}"
        drawn.append(Figure(figures.ranks(ranks, f"{prefix}-ranks"), text, table))
    if not wins + losses:
        said.append(f"It changed no query's {measure}.")
    elif not any(change.query for change in wins + losses):
        said.append("It stored no texts, so queries are shown by their ids.")
    examples = [("Biggest wins", wins), ("Biggest losses", losses)]
    return Section(title, said, drawn, tables, changes=[e for e in examples if e[1]])
