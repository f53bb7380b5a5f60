"""Write two systems as one HTML page; the template escapes everything it shows."""

from pipeline.infra.html import render
from pipeline.report.pair.difference import Difference
from pipeline.report.pair.terminal import costs, legend, quality, texts, values


def html(difference: Difference) -> str:
    """Render the whole page, with every cutoff."""
    rows = [*difference.rows, *difference.further_rows]
    labels = difference.labels
    cases = [
        (heading, [(case, values(case, labels), texts(case, labels)) for case in found])
        for heading, found in difference.cases
    ]
    return render(
        "pipeline.report.pair",
        "page.html.jinja",
        title=difference.title,
        difference=difference,
        quality=quality(labels, rows),
        looks=[row.direction for row in rows],
        legend=legend(difference),
        costs=costs(difference),
        cases=cases,
    )
