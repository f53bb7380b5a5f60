"""Write the report as one HTML page, with its figures and their script inside."""

from collections.abc import Sequence

from pipeline.evaluation.significance import LEVEL
from pipeline.infra.html import render
from pipeline.report import plotting as figures
from pipeline.report.document import Study
from pipeline.report.format import GROUPS, SEARCH_NAMES
from pipeline.report.sections import tables as sections


def html(studies: Sequence[Study]) -> str:
    """Render the whole page: one study per first stage, each with the same sections.

    plotly.js is 5 MB; it is inside only if there is a figure.
    """
    drawn = any(section.figures for study in studies for section in study.sections)
    names = sorted({study.comparison.title for study in studies if study.comparison.title})
    return render(
        "pipeline.report",
        "page.html.jinja",
        title=f"Reranker comparison: {' and '.join(names)}" if names else "Reranker comparison",
        studies=studies,
        groups=GROUPS,
        searches=SEARCH_NAMES,
        level=LEVEL,
        plotly=figures.script() if drawn else None,
        cell=sections.cell,
        columns=sections.heads,
    )
