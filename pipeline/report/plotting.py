"""Helpers for the plotly figures of the sections: colours, size, and the HTML of a figure."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import plotly.graph_objects as go
from markupsafe import Markup

# Okabe and Ito's colours, which colour-blind eyes can tell apart.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
GREY = "#595959"
HEIGHT = 300  # pixels of a panel
MOST_LEGEND = (
    12  # series; a longer legend would be higher than the figure, hovering shows the names
)


def script() -> Markup:
    """Return plotly.js, which a page needs once: its basic bundle, with scatter and bar alone.

    The file is that of the npm package plotly.js-basic-dist-min (MIT licence), in the version that
    the Python package carries in full. It is a quarter of its size.
    """
    bundle = files("pipeline.report").joinpath("plotly-basic.min.js")
    return Markup(bundle.read_text(encoding="utf-8"))


def bars(values: Sequence[float], lows: Sequence[float], highs: Sequence[float]) -> dict[str, Any]:
    """Return the error bars of ``values`` from their ``lows`` to their ``highs``."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - value for value, high in zip(values, highs, strict=True)],
        "arrayminus": [value - low for value, low in zip(values, lows, strict=True)],
        "thickness": 1.2,
        "width": 3,
    }


def to_html(figure: go.Figure, identifier: str, height: int, series: int = 0) -> Markup:
    """Return the figure as an element with the id ``identifier``, without plotly.js.

    ``height`` is in pixels, without the legend. There is a legend up to MOST_LEGEND ``series``.
    """
    figure.update_layout(
        template="plotly_white",
        height=height + 80,
        margin={"l": 60, "r": 15, "t": 30, "b": 50},
        font={"family": "system-ui, sans-serif", "size": 13, "color": "#1a1a1a"},
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
        showlegend=series <= MOST_LEGEND,
        bargap=0.25,
    )
    html = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        div_id=identifier,
        config={"displayModeBar": False, "responsive": True},
    )
    return Markup(html)
