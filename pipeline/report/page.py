"""The report as one HTML file that needs nothing else: style, script and figures are inside.

Everything that a run or a text holds goes through the template, which escapes it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pipeline.report import bookkeeping, figures, sections
from pipeline.report.comparison import Comparison
from pipeline.report.parts import Section, Table
from pipeline.report.queries import Stored
from pipeline.report.table import MEASURES, header
from pipeline.report.verdict import Verdict, judge
from pipeline.report.wording import GROUPS, SEARCHES
from pipeline.significance import LEVEL
from pipeline.tracking import RunRecord


@dataclass(frozen=True)
class Study:
    """One data set: the comparison of its runs and the sections after the tables."""

    title: str
    facts: list[str]
    comparison: Comparison
    verdict: Verdict
    glance: Table | None
    sections: list[Section]


def html(
    comparisons: Sequence[Comparison],
    stored: Stored,
    budget_ms: float,
    sweep: RunRecord | None = None,
) -> str:
    """The whole page: one study a data set, each with the same sections.

    ``stored`` reads what only a few runs are asked for; ``budget_ms`` is the latency of the
    verdict's second sentence; ``sweep`` is the parent run, whose duration is shown.
    """
    environment = Environment(
        loader=PackageLoader("pipeline.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    studies = [
        _study(number, comparison, stored, budget_ms, sweep)
        for number, comparison in enumerate(comparisons, start=1)
    ]
    style = files("pipeline.report").joinpath("page.css").read_text(encoding="utf-8")
    drawn = any(figure for study in studies for s in study.sections for figure in s.figures)
    names = sorted({name for c in comparisons for name in c.datasets})
    return environment.get_template("page.html.jinja").render(
        title=f"Reranker comparison: {' and '.join(names)}" if names else "Reranker comparison",
        studies=studies,
        groups=GROUPS,
        measures=MEASURES,
        searches=SEARCHES,
        level=LEVEL,
        style=Markup(style),
        plotly=figures.script() if drawn else None,
        cell=sections.cell,
        columns=sections.heads,
    )


def _study(
    number: int,
    comparison: Comparison,
    stored: Stored,
    budget_ms: float,
    sweep: RunRecord | None,
) -> Study:
    verdict = judge(comparison, budget_ms)
    title = " and ".join(comparison.datasets)
    parts: list[Section] = []
    if comparison.qualities:
        parts = [
            sections.ablations(comparison, f"s{number}"),
            sections.latency(comparison, budget_ms, f"s{number}"),
            sections.queries(comparison, verdict, stored, f"s{number}"),
        ]
    parts.append(bookkeeping.cost(comparison, sweep))
    if any(run.tags.get("dataset") == "gooaq" for run in comparison.runs):
        parts.append(bookkeeping.published_figures(comparison))
    parts.append(bookkeeping.reproduction(comparison))
    glance = sections.glance(comparison, verdict)
    return Study(title, header(comparison), comparison, verdict, glance, parts)
