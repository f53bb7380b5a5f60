"""Section "Would more labels help?": quality over labelled queries, a figure for every search."""

from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go
from markupsafe import Markup

from pipeline.report.blocks import Figure, Section, Table
from pipeline.report.comparison import Comparison
from pipeline.report.format import MISSING, SEARCH_NAMES, number, span
from pipeline.report.learning_curve import AXIS, Curve, curves, seen
from pipeline.report.plotting import GREY, HEIGHT, PALETTE, bars, to_html
from pipeline.report.points import Point
from pipeline.report.study import Study
from pipeline.report.systems import Glance
from pipeline.report.uncertainty import COLUMNS, order_of

LIMIT = "dataset.max_train_queries"
TITLE = "Would more labels help?"
DASHES = {"fused": "solid", "reranked": "dash"}


def section(study: Study) -> Section | None:
    """Draw the learning curves, if runs differ in the labelled queries that they trained on."""
    if not study.comparison.qualities:
        return None
    found = curves(study.comparison)
    if not found:
        text = _too_few(study.comparison)
        return Section(TITLE, [text]) if text else None
    measure = study.comparison.qualities[0].name
    text = (
        "A line joins runs that differ in the number of labelled queries only; a run with more of "
        "them sees all that a run with fewer sees, and makes more steps. Intervals are over test "
        "queries. They don't hold the chance in a training, which only several seeds show."
    )
    figures = []
    for glance in study.verdict.glances:
        here = [curve for curve in found if COLUMNS[curve.column] == glance.search]
        if here:
            title = f"{measure} of {SEARCH_NAMES[glance.search]} search over labelled queries"
            identifier = f"{study.identifier}-curve-{glance.search}"
            figures.append(
                Figure(
                    html=_plot(here, glance, measure, identifier),
                    text=f"{title}, with 95% intervals; alone {number(glance.alone)}",
                    table=_table(here, title, measure),
                )
            )
    return Section(TITLE, [text, *figures])


def _too_few(comparison: Comparison) -> str:
    """Say so if runs asked for different numbers of queries, but there were not that many."""
    trained = [point for point in comparison.points if seen(point)]
    numbers = {seen(point) for point in trained}
    if len(numbers) != 1 or len({point.params.get(AXIS) for point in trained}) < 2:
        return ""
    asked, limit = (_largest(trained, key) for key in (AXIS, LIMIT))
    why = f"{LIMIT}={limit} leaves out the others" if 0 < limit < asked else "there are no more"
    return (
        f"All runs trained on the same {numbers.pop():,} labelled queries, as {why}. "
        f"Take {'a larger limit or ' * (0 < limit < asked)}smaller numbers, such as "
        f"{AXIS}=50,100,200."
    )


def _largest(points: Sequence[Point], key: str) -> int:
    """Return the largest value of a setting among the points, 0 if none has a number."""
    values = (point.params.get(key, "") for point in points)
    return max((int(value) for value in values if value.isdigit()), default=0)


def _table(found: Sequence[Curve], title: str, measure: str) -> Table:
    """One row per point of every curve, with its gain over the point before."""
    rows = [
        [
            curve.name,
            order_of(curve.column),
            f"{queries:,}",
            number(point.value),
            span(point.low, point.high, ".3f"),
            number(step.gain if step else None, "+.3f"),
            span(step.low, step.high, "+.3f") if step else MISSING,
            number(point.steps, ",.0f"),
        ]
        for curve in found
        for (queries, point), step in zip(curve.points.items(), [None, *curve.steps], strict=True)
    ]
    ends = "95% interval"
    heads = ["held fixed", "order", "queries", measure, ends, "gain", ends, "steps"]
    return Table(f"{title}, as figures", heads, rows, names=2)


def _plot(found: Sequence[Curve], glance: Glance, measure: str, identifier: str) -> Markup:
    """Draw a colour per series, fused solid and reranked dashed, and the search alone."""
    names = list(dict.fromkeys(curve.name for curve in found))
    figure = go.Figure()
    for position, curve in enumerate(found):
        order, points = order_of(curve.column), list(curve.points.values())
        values = [point.value for point in points]
        # Side by side, so that intervals of the same number do not hide one another.
        shift = 1.02 ** (position - (len(found) - 1) / 2)
        scatter = go.Scatter(
            x=[queries * shift for queries in curve.points],
            y=values,
            error_y=bars(values, [point.low for point in points], [point.high for point in points]),
            mode="lines+markers",
            name=escape(f"{curve.name}, {order}"),
            line={
                "color": PALETTE[names.index(curve.name) % len(PALETTE)],
                "dash": DASHES[order],
            },
            text=[escape(point.label) for point in points],
            hovertemplate="%{text}<br>%{y:.3f}<extra></extra>",
        )
        figure.add_trace(scatter)
    places = sorted({queries for curve in found for queries in curve.points})
    alone = go.Scatter(
        x=[places[0], places[-1]],
        y=[glance.alone, glance.alone],
        mode="lines",
        name="search alone",
        line={"color": GREY, "dash": "dot"},
        hovertemplate="search alone: %{y:.3f}<extra></extra>",
    )
    figure.add_trace(alone)
    figure.update_xaxes(
        type="log",
        tickvals=places,
        ticktext=[f"{queries:,}" for queries in places],
        title="labelled queries (log scale)",
    )
    figure.update_yaxes(title=measure)
    return to_html(figure, identifier, HEIGHT, len(found))
