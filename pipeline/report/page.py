"""The report as one HTML file that needs nothing else: style, script and figures are inside.

Everything that a run or a text holds goes through the template, which escapes it.
"""

from collections.abc import Sequence
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pipeline.evaluation.significance import LEVEL
from pipeline.report import plotting as figures
from pipeline.report.document import Study
from pipeline.report.format import GROUPS, SEARCH_NAMES
from pipeline.report.sections import tables as sections


def html(studies: Sequence[Study]) -> str:
    """The whole page: one study a first stage, each with the same sections.

    The n-th study's figures have identifiers that begin with ``sn``.
    """
    environment = Environment(
        loader=PackageLoader("pipeline.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = files("pipeline.report").joinpath("page.css").read_text(encoding="utf-8")
    drawn = any(figure for study in studies for s in study.sections for figure in s.figures)
    names = sorted({study.comparison.title for study in studies if study.comparison.title})
    return environment.get_template("page.html.jinja").render(
        title=f"Reranker comparison: {' and '.join(names)}" if names else "Reranker comparison",
        studies=studies,
        groups=GROUPS,
        searches=SEARCH_NAMES,
        level=LEVEL,
        style=Markup(style),
        plotly=figures.script() if drawn else None,
        cell=sections.cell,
        columns=sections.heads,
    )
