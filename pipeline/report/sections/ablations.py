"""Section "Ablations": what one axis of the grid changes while the others are held fixed."""

from html import escape
from typing import Any

import plotly.graph_objects as go
from markupsafe import Markup
from plotly.subplots import make_subplots

from pipeline.report.axes import AXES, Ablation, Series, ablations, first_column
from pipeline.report.blocks import Figure, Section, Table
from pipeline.report.format import SEARCH_NAMES, listed, number, span
from pipeline.report.plotting import HEIGHT, PALETTE, bars, to_html
from pipeline.report.study import Study
from pipeline.report.uncertainty import COLUMNS, order_of

DRAWN = ("arch", "base", "negatives", "epochs")  # labelled queries have a section of their own
DASHES = ("solid", "dash", "dot", "dashdot")


def section(study: Study) -> Section | None:
    """Draw one figure per axis along which points can be compared."""
    comparison = study.comparison
    if not comparison.qualities:
        return None
    measure = comparison.qualities[0].name
    column = first_column(comparison)
    found = ablations(comparison, column, DRAWN) if column else []
    if column is None or not found:
        text = "No two runs differ in one axis only, so nothing can be compared."
        return Section("Ablations", [text])
    order = "fused with its order" if order_of(column) == "fused" else "reranked"
    texts = [
        f"{measure} of {SEARCH_NAMES[COLUMNS[column]]} search, {order}. A line joins runs that "
        "differ in this axis only; bars are 95% intervals over queries. More negatives or epochs "
        "are also more steps or pairs, which is why those stand beside them."
    ]
    shown = {ablation.axis for ablation in found}
    missing = [AXES[key].name.lower() for key in DRAWN if key not in shown]
    if missing:
        texts.append(f"Not varied with the rest held fixed: {', '.join(missing)}.")
    figures = [
        Figure(
            html=_plot(ablation, measure, f"{study.identifier}-{ablation.axis}"),
            text=_caption(ablation, measure),
            table=_table(ablation, measure),
        )
        for ablation in found
    ]
    return Section("Ablations", [*texts, *figures])


def _caption(ablation: Ablation, measure: str) -> str:
    points = [point for series in ablation.series for point in series.points]
    best = max(points, key=lambda point: point.value)
    count = len(ablation.series)
    tuned = sorted({name for series in ablation.series for name in series.tuned})
    return (
        f"{AXES[ablation.axis].name}: {measure} at {', '.join(ablation.levels)}; {count} "
        f"{'line' if count == 1 else 'lines'}; highest {number(best.value)} ({best.label})"
        f"{f'; {listed(tuned)} differ as well' if tuned else ''}"
    )


def _table(ablation: Ablation, measure: str) -> Table:
    rows = [
        [
            series.fixed,
            point.level(ablation.axis),
            number(point.value),
            span(point.low, point.high, ".3f"),
            number(point.steps, ",.0f"),
            number(point.pairs, ",.0f"),
        ]
        for series in ablation.series
        for point in series.points
    ]
    heads = ["held fixed", ablation.axis, measure, "95% interval", "steps", "pairs seen"]
    return Table(f"{AXES[ablation.axis].name}, as figures", heads, rows, names=2)


def _plot(ablation: Ablation, measure: str, identifier: str) -> Markup:
    """Draw the quality at every level; along negatives and epochs the steps below it."""
    compute = AXES[ablation.axis].compute
    panels = 2 if compute else 1
    figure = make_subplots(
        panels, 1, shared_xaxes=True, vertical_spacing=0.06, row_heights=[0.65, 0.35][:panels]
    )
    for position, series in enumerate(ablation.series):
        _add_series(figure, ablation, position, series)
    figure.update_xaxes(
        tickvals=list(range(len(ablation.levels))),
        ticktext=[escape(level) for level in ablation.levels],
        range=[-0.5, len(ablation.levels) - 0.5],
    )
    figure.update_xaxes(title=ablation.axis, row=panels, col=1)
    figure.update_yaxes(title=measure, row=1, col=1)
    if compute:
        figure.update_yaxes(title="steps", rangemode="tozero", row=2, col=1)
    return to_html(figure, identifier, HEIGHT + 150 * (panels - 1), len(ablation.series))


def _add_series(figure: go.Figure, ablation: Ablation, position: int, series: Series) -> None:
    # Side by side, so that intervals of the same level do not hide one another.
    count = len(ablation.series)
    shift = (position - (count - 1) / 2) * 0.5 / max(count, 8)
    points = series.points
    style: dict[str, Any] = {
        "x": [ablation.levels.index(point.level(ablation.axis)) + shift for point in points],
        "mode": "lines+markers",
        "name": escape(series.fixed),
        "legendgroup": str(position),
        "text": [escape(point.label) for point in points],
        "line": {
            "color": PALETTE[position % len(PALETTE)],
            "dash": DASHES[position // len(PALETTE) % len(DASHES)],
        },
        "marker": {"size": 8},
    }
    values = [point.value for point in points]
    quality = go.Scatter(
        y=values,
        error_y=bars(values, [point.low for point in points], [point.high for point in points]),
        hovertemplate="%{text}<br>%{y:.3f}<extra></extra>",
        **style,
    )
    figure.add_trace(quality, row=1, col=1)
    if AXES[ablation.axis].compute:
        steps = go.Scatter(
            y=[point.steps for point in points],
            hovertemplate="%{text}<br>%{y:,} steps<extra></extra>",
            showlegend=False,
            **style,
        )
        figure.add_trace(steps, row=2, col=1)
