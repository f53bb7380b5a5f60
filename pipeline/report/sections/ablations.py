"""Section "Ablations": what one axis of the grid changes while the others are held fixed."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import isnan, nan
from typing import Any

import plotly.graph_objects as go
from markupsafe import Markup
from plotly.subplots import make_subplots

from pipeline.report.blocks import Figure, Section, Table
from pipeline.report.comparison import Comparison, natural
from pipeline.report.format import MISSING, SEARCH_NAMES, listed, number
from pipeline.report.plotting import HEIGHT, PALETTE, to_html
from pipeline.report.points import Point, identity
from pipeline.report.study import Study
from pipeline.report.uncertainty import COLUMNS, mean_intervals, order_of

# Parameters that may differ between the levels of an axis, because they are tuned for it.
TUNED = ("train.learning_rate", "train.batch_size")
DASHES = ("solid", "dash", "dot", "dashdot")


@dataclass(frozen=True)
class Axis:
    """One axis of the grid."""

    name: str
    follow: tuple[str, ...]  # beginnings of the parameters that may change with it
    unit: str = ""  # of a level, where another axis is shown
    compute: bool = False  # more of it means more steps or pairs, which must be seen too


AXES = {
    "arch": Axis("Architecture", ("arch.", *TUNED)),
    "base": Axis("Base", ("base.",)),
    "negatives": Axis("Negatives", ("negatives",), unit=" neg", compute=True),
    "epochs": Axis("Epochs", ("epochs",), unit=" ep", compute=True),
}


@dataclass(frozen=True)
class Measured:
    """A point with its quality; NaN where something was not logged."""

    point: Point
    label: str
    value: float
    low: float  # 95% interval of the value, bootstrap over queries
    high: float

    @property
    def steps(self) -> float:
        """Optimiser steps of the training."""
        return self.point.metrics.get("train/steps", nan)

    @property
    def pairs(self) -> float:
        """Pairs of a query and a passage that the training saw."""
        return self.point.metrics.get("train/pairs_seen", nan)

    def level(self, axis: str) -> str:
        """The point's place on the axis, such as ``2`` of negatives."""
        return self.point.params.get(axis) or self.point.tags.get(axis, "")


@dataclass(frozen=True)
class Series:
    """Points that differ in the axis only; ``fixed`` says what they share.

    ``tuned`` are parameters of training that differ as well, each tuned for its level.
    """

    fixed: str
    points: list[Measured]
    tuned: list[str]


@dataclass(frozen=True)
class Ablation:
    """One axis: its levels in order, and every series with two or more of them."""

    axis: str
    levels: list[str]
    series: list[Series]


def section(study: Study) -> Section | None:
    """Draw one figure per axis along which points can be compared."""
    comparison = study.comparison
    if not comparison.qualities:
        return None
    measure = comparison.qualities[0].name
    column = _column(comparison)
    found = ablations(comparison, column) if column else []
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
    missing = [axis.name.lower() for key, axis in AXES.items() if key not in shown]
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


def ablations(comparison: Comparison, column: str) -> list[Ablation]:
    """Return the axes along which at least two points differ in nothing else."""
    measured = _measured(comparison, column)
    found = []
    for axis in AXES:
        families: dict[object, list[Measured]] = {}
        for one in measured:
            families.setdefault(_fixed(one, axis), []).append(one)
        series = [
            _series(axis, members)
            for members in families.values()
            if len({one.level(axis) for one in members}) > 1
        ]
        if series:
            levels = {one.level(axis) for each in series for one in each.points}
            found.append(Ablation(axis, sorted(levels, key=natural), series))
    return found


def _column(comparison: Comparison) -> str | None:
    """Return the first column with figures: mostly the reranker's order of vector search."""
    return next((column for column in COLUMNS if _reranked(comparison, column)), None)


def _reranked(comparison: Comparison, column: str) -> list[int]:
    """Return the positions of the points, controls apart, with a figure in ``column``."""
    rows = comparison.qualities[0].rows
    return [
        i
        for i, point in enumerate(comparison.points)
        if point.group != "none" and not isnan(rows[i][column].value)
    ]


def _measured(comparison: Comparison, column: str) -> list[Measured]:
    quality, points = comparison.qualities[0], comparison.points
    shown = _reranked(comparison, column)
    values = {i: points[i].values.of(column, quality.metric) for i in shown}
    ends = mean_intervals({i: array for i, array in values.items() if array is not None})
    measured = []
    for i in shown:
        low, high = ends.get(i, (nan, nan))
        value = quality.rows[i][column].value
        measured.append(Measured(points[i], comparison.labels[i], value, low, high))
    return measured


def _series(axis: str, members: Sequence[Measured]) -> Series:
    ordered = sorted(members, key=lambda one: natural(one.level(axis)))
    tuned = [
        name
        for name in TUNED
        if name in AXES[axis].follow and len({one.point.params.get(name) for one in ordered}) > 1
    ]
    levels = {other: ordered[0].level(other) for other in AXES if other != axis}
    fixed = ", ".join(f"{level}{AXES[other].unit}" for other, level in levels.items() if level)
    return Series(fixed, ordered, tuned)


def _fixed(one: Measured, axis: str) -> object:
    """Return everything that must agree: the other axes, and the rest of the configuration."""
    others = tuple(one.level(other) for other in AXES if other != axis)
    left_out = (*AXES[axis].follow, "run_name")
    rest = frozenset(item for item in identity(one.point) if not item[0].startswith(left_out))
    return others, rest


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
            MISSING if isnan(point.low) else f"{point.low:.3f} to {point.high:.3f}",
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
    quality = go.Scatter(
        y=[point.value for point in points],
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [point.high - point.value for point in points],
            "arrayminus": [point.value - point.low for point in points],
            "thickness": 1.2,
        },
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
