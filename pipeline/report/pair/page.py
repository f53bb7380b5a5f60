"""Two runs as one HTML file that needs nothing else; the template escapes what it shows."""

from pipeline.infra.html import render
from pipeline.report.pair.difference import Difference, Row
from pipeline.report.pair.terminal import (
    COST_HEADS,
    LEGEND,
    QUALITY_HEADS,
    cost_cells,
    header,
    quality_cells,
    style,
    texts,
)


def html(difference: Difference) -> str:
    """The whole page, with every cutoff."""
    sides = [("A", difference.better_a), ("B", difference.better_b)]
    return render(
        "pipeline.report.pair",
        "page.html.jinja",
        title=f"{difference.a.name} and {difference.b.name}",
        header=header(difference),
        quality_heads=("Metric", *QUALITY_HEADS[1:]),
        quality=[quality_cells(row) for row in difference.quality],
        looks=[_look(row) for row in difference.quality],
        legend="" if difference.unpaired else LEGEND,
        cost_heads=("Metric", *COST_HEADS[1:]),
        costs=[cost_cells(row) for row in difference.costs],
        config=difference.config,
        sides=[(name, [(case, texts(case)) for case in cases]) for name, cases in sides],
        metric=difference.metric,
        unpaired=difference.unpaired,
    )


def _look(row: Row) -> str:
    """The class of page.css."""
    return {"bold green": "up", "bold red": "down"}.get(style(row), "")
