"""Section "Quality against latency": what is on the Pareto front, per machine and depth."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from math import inf, isnan, nan

import plotly.graph_objects as go
from markupsafe import Markup
from plotly.subplots import make_subplots

from pipeline.evaluation.quantiles import QUANTILES
from pipeline.records import SEARCHES
from pipeline.report.blocks import Figure, Section, Table
from pipeline.report.comparison import Comparison
from pipeline.report.format import MISSING, SEARCH_NAMES, milliseconds, number
from pipeline.report.plotting import GREY, HEIGHT, PALETTE, bars, to_html
from pipeline.report.points import Point
from pipeline.report.study import Study
from pipeline.report.timed_on import TimedOn, timed_on
from pipeline.report.uncertainty import COLUMNS, order_of

KINDS = {"cpu": "CPU", "cuda": "GPU", "mps": "Apple GPU", "": "Machine not logged"}
COLOURS = dict(zip(SEARCHES, PALETTE, strict=False))
SYMBOLS = {"alone": "x", "reranked": "circle", "fused": "diamond-open"}


@dataclass(frozen=True)
class Timed:
    """A system: quality as in the tables, latency when ``limit`` passages are reranked."""

    label: str
    search: str
    order: str  # alone, reranked or fused
    limit: int
    quality: float
    p50: float  # milliseconds of one query
    p95: float
    cells: Mapping[str, str]  # by p50, p95 and p99: as text, with 95% intervals
    front: bool = False  # nothing is at once as fast and better, or faster and as good


@dataclass(frozen=True)
class Device:
    """The systems timed on one machine; ``limits`` ascending."""

    kind: str  # cpu, cuda, mps; empty if it was not logged
    name: str  # with threads and precision
    limits: list[int]
    systems: list[Timed]


def section(study: Study) -> Section | None:
    """Draw one figure per machine."""
    title = "Quality against latency"
    if not study.comparison.qualities:
        return None
    found = devices(study.comparison)
    if not found:
        return Section(title, ["Latency was not measured."])
    measure = study.comparison.qualities[0].name
    text = (
        "One query at a time on the serving path. A mark is the median (p50), its bar reaches to "
        f"p95; the dotted line is the budget of {study.budget_ms:g} ms. {measure} is that of the "
        "tables, whatever the depth that was timed. On the dashed Pareto front nothing is at once "
        "faster and better."
    )
    figures = []
    for i, device in enumerate(found):
        kind = KINDS.get(device.kind, device.kind)
        name = f"{kind} ({device.name})" if device.name else kind
        front = [
            f"{s.label} ({SEARCH_NAMES[s.search]}, {s.order})" for s in device.systems if s.front
        ]
        listed = ", ".join(dict.fromkeys(front))
        figures.append(
            Figure(
                html=_plot(device, measure, study.budget_ms, f"{study.identifier}-latency-{i}"),
                text=f"{name}: {measure} against latency; on the Pareto front: {listed}",
                table=_table(device, measure, name),
            )
        )
    return Section(title, [text, *figures])


def devices(comparison: Comparison) -> list[Device]:
    """Return the machines of the points with latencies, by name, threads and precision."""
    machines: dict[TimedOn, list[int]] = {}
    for i, point in enumerate(comparison.points):
        machines.setdefault(timed_on(point), []).append(i)
    found = []
    for timed, members in sorted(machines.items()):
        kind, name = timed.device, str(timed) if timed.name else ""
        systems = [system for i in members for system in _timed(comparison, i)]
        limits = sorted({system.limit for system in systems})
        marked = [t for limit in limits for t in _front([s for s in systems if s.limit == limit])]
        if marked:
            found.append(Device(kind, name, limits, marked))
    return found


def _timed(comparison: Comparison, i: int) -> list[Timed]:
    """Return the point with each of its orders, at every depth that was timed."""
    point, row = comparison.points[i], comparison.qualities[0].rows[i]
    names = (re.fullmatch(r"latency/(\w+)_(\d+)/total_p50_ms", name) for name in point.metrics)
    depths = [(match[1], int(match[2])) for match in names if match]
    systems = []
    for column, search in COLUMNS.items():
        order = order_of(column)
        if point.group == "none":
            if order == "fused":
                continue
            order = "alone"
        for limit in [limit for timed, limit in depths if timed == search]:
            total = f"latency/{search}_{limit}/total"
            p50 = point.metrics[f"{total}_p50_ms"]
            p95 = point.metrics.get(f"{total}_p95_ms", nan)
            if not isnan(p50) and not isnan(row[column].value):
                systems.append(
                    Timed(
                        label=comparison.labels[i],
                        search=search,
                        order=order,
                        limit=limit,
                        quality=row[column].value,
                        p50=p50,
                        p95=p50 if isnan(p95) else p95,
                        cells=_cells(point, total),
                    )
                )
    return sorted(systems, key=lambda s: (SEARCHES.index(s.search), s.order, s.limit))


def _cells(point: Point, total: str) -> dict[str, str]:
    """Return the quantiles that were logged, each as ``545 ms (540 to 551)``."""
    return {
        quantile: with_interval(point, f"{total}_{quantile}")
        for quantile in QUANTILES
        if f"{total}_{quantile}_ms" in point.metrics
    }


def with_interval(point: Point, quantile: str) -> str:
    """Return ``545 ms (540 to 551)``: a quantile with its 95% interval, if that was logged.

    ``quantile`` is such as ``latency/hybrid_50/total_p95``. Of few queries only the lower end is
    known: ``545 ms (at least 540)``.
    """
    value = milliseconds(point.metrics.get(f"{quantile}_ms", nan))
    ends = [point.metrics.get(f"{quantile}_{end}_ms", nan) for end in ("low", "high")]
    low, high = (milliseconds(end).removesuffix(" ms") for end in ends)
    if MISSING not in (low, high):
        return f"{value} ({low} to {high})"
    return value if low == MISSING else f"{value} (at least {low})"


def _front(systems: Sequence[Timed]) -> list[Timed]:
    """Return the same systems, fastest first, those on the Pareto front marked."""
    marked = []
    best = -inf
    for system in sorted(systems, key=lambda s: (s.p50, -s.quality)):
        marked.append(replace(system, front=system.quality > best))
        best = max(best, system.quality)
    return marked


def _table(device: Device, measure: str, name: str) -> Table:
    """One row per point and search: fusing takes no time of its own."""
    times: dict[tuple[str, str], dict[str, str]] = {}
    for system in device.systems:
        row = times.setdefault((system.label, system.search), {})
        row["reranked" if system.order == "alone" else system.order] = number(system.quality)
        row |= {f"{quantile} of {system.limit}": cell for quantile, cell in system.cells.items()}
    known = {head for row in times.values() for head in row}
    timed = [f"{quantile} of {limit}" for limit in device.limits for quantile in QUANTILES]
    heads = ["reranked", "fused", *(head for head in timed if head in known)]
    rows = [
        [label, SEARCH_NAMES[search], *(row.get(head, MISSING) for head in heads)]
        for (label, search), row in times.items()
    ]
    caption = (
        f"{name}: {measure}, and latency by the number of passages reranked, with 95% intervals"
    )
    return Table(caption, ["run", "search", *heads], rows, names=2)


def _plot(device: Device, measure: str, budget_ms: float, identifier: str) -> Markup:
    """Draw quality over latency, p50 with a line to p95, one panel per depth."""
    panels = len(device.limits)
    figure = make_subplots(
        panels,
        1,
        shared_xaxes=True,
        vertical_spacing=0.09 if panels < 4 else 0.04,
        subplot_titles=[f"{limit} passages reranked" for limit in device.limits],
    )
    for row, limit in enumerate(device.limits, start=1):
        here = [system for system in device.systems if system.limit == limit]
        front = [system for system in here if system.front]
        line = go.Scatter(
            x=[system.p50 for system in front],
            y=[system.quality for system in front],
            mode="lines",
            line={"color": GREY, "dash": "dash", "shape": "hv", "width": 1.5},
            name="Pareto front",
            hoverinfo="skip",
            showlegend=row == 1,
        )
        figure.add_trace(line, row=row, col=1)
        for search in SEARCHES:
            for order in SYMBOLS:
                shown = [s for s in here if s.search == search and s.order == order]
                if shown:
                    figure.add_trace(_marks(shown, legend=row == 1), row=row, col=1)
        figure.add_vline(x=budget_ms, line={"color": GREY, "width": 1, "dash": "dot"}, row=row)
    figure.update_xaxes(type="log", dtick="D2", tickformat=",.4~f")
    figure.update_xaxes(title="milliseconds of a query (log scale)", row=panels, col=1)
    figure.update_yaxes(title=measure)
    return to_html(figure, identifier, HEIGHT * panels)


def _marks(systems: Sequence[Timed], legend: bool) -> go.Scatter:
    """Draw systems of one search and one order."""
    search, order = systems[0].search, systems[0].order
    medians = [system.p50 for system in systems]
    return go.Scatter(
        x=medians,
        y=[system.quality for system in systems],
        error_x=bars(medians, medians, [system.p95 for system in systems]),
        mode="markers",
        marker={"color": COLOURS[search], "symbol": SYMBOLS[order], "size": 9},
        name=f"{SEARCH_NAMES[search]}, {order}",
        legendgroup=f"{search}{order}",
        showlegend=legend,
        text=[escape(system.label) for system in systems],
        customdata=[system.p95 for system in systems],
        hovertemplate="%{text}<br>%{y:.3f}, p50 %{x:.1f} ms, p95 %{customdata:.1f} ms",
    )
