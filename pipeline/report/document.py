"""Put the report on one comparison together; ``page`` and ``markdown`` write it down."""

from dataclasses import dataclass

from pipeline.report.blocks import Section, Table
from pipeline.report.sections import (
    ablations,
    callers,
    cost,
    curve,
    forms,
    latency,
    published,
    queries,
    reproduce,
    tables,
    thresholds,
    trained,
)
from pipeline.report.study import Study
from pipeline.report.weak import weak_runs

# The sections in the order of the report. A new one takes two files: its own in ``sections/``, with
# a function ``section(study) -> Section | None`` (None: it does not apply), and its name here.
SECTIONS = (
    tables.section,
    trained.section,
    ablations.section,
    curve.section,
    latency.section,
    callers.section,
    forms.section,
    thresholds.section,
    queries.section,
    cost.section,
    published.section,
    reproduce.section,
)


@dataclass(frozen=True)
class Document:
    """The verdict of ``study`` with its facts and the searches at a glance, then the sections."""

    study: Study
    facts: list[str]
    glance: Table | None
    sections: list[Section]


def document(study: Study) -> Document:
    """Make every section of the report that applies to ``study``."""
    made = [section(study) for section in SECTIONS]
    return Document(
        study=study,
        facts=[*tables.facts(study.comparison), *weak_runs(study.comparison).values()],
        glance=tables.glance(study),
        sections=[section for section in made if section is not None],
    )
