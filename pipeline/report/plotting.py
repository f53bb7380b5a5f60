"""Plotly figures as pieces of HTML; plotly.js itself is put into the page once."""

from collections.abc import Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs
from plotly.subplots import make_subplots

from pipeline.records import SEARCHES
from pipeline.report.format import SEARCH_NAMES
from pipeline.report.sections.ablations import COMPUTE, Ablation
from pipeline.report.sections.latency import Device, Timed
from pipeline.report.sections.queries import Ranks

# Okabe and Ito's colours: told apart by colour-blind eyes too.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
COLOURS = dict(zip(SEARCHES, PALETTE, strict=False))
SYMBOLS = {"alone": "x", "reranked": "circle", "fused": "diamond-open"}
DASHES = ("solid", "dash", "dot", "dashdot")
MOST_LEGEND = 12  # series; more would be longer than the figure, their names show on hovering
PIXELS = 300  # height of a panel


def script() -> Markup:
    """plotly.js, to be put into the page once."""
    return Markup(get_plotlyjs())


def ablation(found: Ablation, measure: str, identifier: str) -> Markup:
    """Quality at every level of the axis; along negatives and epochs the steps below it."""
    compute = found.axis in COMPUTE
    panels = 2 if compute else 1
    figure = make_subplots(
        panels, 1, shared_xaxes=True, vertical_spacing=0.06, row_heights=[0.65, 0.35][:panels]
    )
    middle = (len(found.series) - 1) / 2
    step = 0.5 / max(len(found.series), 8)
    for number, series in enumerate(found.series):
        # Side by side, so that intervals of the same level do not hide one another.
        x = [found.levels.index(p.level) + (number - middle) * step for p in series.points]
        style: dict[str, Any] = {
            "mode": "lines+markers",
            "name": escape(series.fixed),
            "legendgroup": str(number),
            "text": [escape(p.label) for p in series.points],
            "line": {
                "color": PALETTE[number % len(PALETTE)],
                "dash": DASHES[number // len(PALETTE) % len(DASHES)],
            },
            "marker": {"size": 8},
        }
        y = [p.value for p in series.points]
        error = {
            "type": "data",
            "symmetric": False,
            "array": [p.high - p.value for p in series.points],
            "arrayminus": [p.value - p.low for p in series.points],
            "thickness": 1.2,
        }
        hover = "%{text}<br>%{y:.3f}<extra></extra>"
        figure.add_trace(go.Scatter(x=x, y=y, error_y=error, hovertemplate=hover, **style), 1, 1)
        if compute:
            steps = [p.steps for p in series.points]
            hover = "%{text}<br>%{y:,} steps<extra></extra>"
            style["showlegend"] = False
            figure.add_trace(go.Scatter(x=x, y=steps, hovertemplate=hover, **style), 2, 1)
    figure.update_xaxes(
        tickvals=list(range(len(found.levels))),
        ticktext=[escape(level) for level in found.levels],
        range=[-0.5, len(found.levels) - 0.5],
    )
    figure.update_xaxes(title=found.axis, row=panels, col=1)
    figure.update_yaxes(title=measure, row=1, col=1)
    if compute:
        figure.update_yaxes(title="steps", rangemode="tozero", row=2, col=1)
    return _html(figure, identifier, PIXELS + 150 * (panels - 1), len(found.series))


def tradeoff(device: Device, measure: str, budget_ms: float, identifier: str) -> Markup:
    """Quality over latency, p50 with a line to p95, one panel for every depth."""
    figure = make_subplots(
        len(device.limits),
        1,
        shared_xaxes=True,
        vertical_spacing=0.09 if len(device.limits) < 4 else 0.04,
        subplot_titles=[f"{limit} passages reranked" for limit in device.limits],
    )
    for row, limit in enumerate(device.limits, start=1):
        here = [system for system in device.systems if system.limit == limit]
        front = [system for system in here if system.front]
        figure.add_trace(
            go.Scatter(
                x=[s.p50 for s in front],
                y=[s.quality for s in front],
                mode="lines",
                line={"color": "#595959", "dash": "dash", "shape": "hv", "width": 1.5},
                name="Pareto front",
                hoverinfo="skip",
                showlegend=row == 1,
            ),
            row,
            1,
        )
        for mode in SEARCHES:
            for order, symbol in SYMBOLS.items():
                shown = [s for s in here if s.mode == mode and s.order == order]
                if shown:
                    _add_timed(figure, shown, mode, order, symbol, row)
        figure.add_vline(x=budget_ms, line={"color": "#595959", "width": 1, "dash": "dot"}, row=row)
    figure.update_xaxes(type="log", dtick="D2", tickformat=",.4~f")
    figure.update_xaxes(title="milliseconds of a query (log scale)", row=len(device.limits), col=1)
    figure.update_yaxes(title=measure)
    return _html(figure, identifier, PIXELS * len(device.limits), 0)


def _add_timed(
    figure: go.Figure, shown: Sequence[Timed], mode: str, order: str, symbol: str, row: int
) -> None:
    figure.add_trace(
        go.Scatter(
            x=[s.p50 for s in shown],
            y=[s.quality for s in shown],
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [s.p95 - s.p50 for s in shown],
                "arrayminus": [0.0] * len(shown),
                "thickness": 1,
                "width": 3,
            },
            mode="markers",
            marker={"color": COLOURS[mode], "symbol": symbol, "size": 9},
            name=f"{SEARCH_NAMES[mode]}, {order}",
            legendgroup=f"{mode}{order}",
            showlegend=row == 1,
            text=[escape(s.label) for s in shown],
            customdata=[s.p95 for s in shown],
            hovertemplate="%{text}<br>%{y:.3f}, p50 %{x:.1f} ms, p95 %{customdata:.1f} ms",
        ),
        row,
        1,
    )


def ranks(found: Ranks, identifier: str) -> Markup:
    """Queries by the rank of their relevant passage, before and after reranking."""
    figure = go.Figure()
    for name, counts, colour in (
        ("search alone", found.before, "#8c8c8c"),
        ("reranked", found.after, PALETTE[0]),
    ):
        figure.add_trace(
            go.Bar(
                x=found.bins,
                y=counts,
                name=name,
                marker_color=colour,
                text=counts,
                textposition="outside",
                cliponaxis=False,
            )
        )
    figure.update_xaxes(title="rank of the relevant passage", type="category")
    figure.update_yaxes(title="queries")
    return _html(figure, identifier, PIXELS + 40, 2)


def _html(figure: go.Figure, identifier: str, height: int, series: int) -> Markup:
    figure.update_layout(
        template="plotly_white",
        height=height + 80,
        margin={"l": 60, "r": 15, "t": 30, "b": 50},
        font={"family": "system-ui, sans-serif", "size": 13, "color": "#1a1a1a"},
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
        showlegend=series <= MOST_LEGEND,
        bargap=0.25,
    )
    return Markup(
        figure.to_html(
            full_html=False,
            include_plotlyjs=False,
            div_id=identifier,
            config={"displayModeBar": False, "responsive": True},
        )
    )
