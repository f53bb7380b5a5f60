"""What the report says of one comparison, in order; ``page`` and ``markdown`` write it down."""

from dataclasses import dataclass

from pipeline.report.blocks import Section, Table
from pipeline.report.comparison import Comparison
from pipeline.report.sections import cost as bookkeeping
from pipeline.report.sections import tables as sections
from pipeline.report.sections.queries import Stored
from pipeline.report.terminal import header
from pipeline.report.verdict import Verdict, judge
from pipeline.tracking.reader import RunRecord


@dataclass(frozen=True)
class Study:
    """A comparison with its verdict, the tables at a glance, and the sections after the tables."""

    facts: list[str]
    comparison: Comparison
    verdict: Verdict
    glance: Table | None
    sections: list[Section]


def study(
    comparison: Comparison,
    stored: Stored,
    budget_ms: float,
    identifier: str = "s1",
    sweep: RunRecord | None = None,
) -> Study:
    """Everything that is said of the comparison.

    ``stored`` reads what only a few runs are asked for; ``budget_ms`` is the latency of the
    verdict's second sentence; ``identifier`` begins the ids of the figures, which are those of one
    page; ``sweep`` is the parent run, whose duration is shown.
    """
    verdict = judge(comparison, budget_ms)
    parts: list[Section] = []
    if comparison.qualities:
        parts = [
            sections.ablations(comparison, identifier),
            sections.latency(comparison, budget_ms, identifier),
            sections.queries(comparison, verdict, stored, identifier),
        ]
    parts.append(bookkeeping.cost(comparison, sweep))
    if any(run.tags.get("dataset") == "gooaq" for run in comparison.runs):
        parts.append(bookkeeping.published_figures(comparison))
    parts.append(bookkeeping.reproduction(comparison))
    glance = sections.glance(comparison, verdict)
    return Study(header(comparison), comparison, verdict, glance, parts)
