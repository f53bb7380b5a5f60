"""Write the report as one HTML page, with its figures and their script inside."""

from collections.abc import Sequence

from pipeline.infra.html import render
from pipeline.report import plotting
from pipeline.report.blocks import Figure
from pipeline.report.document import Document
from pipeline.report.format import GROUPS, SEARCH_NAMES
from pipeline.report.sections import tables


def html(documents: Sequence[Document]) -> str:
    """Render the whole page: one document per first stage, each with the same sections.

    plotly.js is 1.2 MB; it is inside only if there is a figure.
    """
    sections = [section for document in documents for section in document.sections]
    drawn = any(isinstance(block, Figure) for section in sections for block in section.blocks)
    titles = sorted({document.study.comparison.title for document in documents} - {""})
    return render(
        "pipeline.report",
        "page.html.jinja",
        title=f"Reranker comparison: {' and '.join(titles)}" if titles else "Reranker comparison",
        documents=documents,
        groups=GROUPS,
        search_names=SEARCH_NAMES,
        plotly=plotting.script() if drawn else None,
        cell=tables.cell,
        searches_of=tables.searches,
    )
