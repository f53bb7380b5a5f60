"""What a section of the page is made of."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from pipeline.report.sections.queries import Change


@dataclass(frozen=True)
class Table:
    """A table of text; the first ``names`` columns are words, the others figures."""

    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    names: int = 1


@dataclass(frozen=True)
class Figure:
    """A figure, what it shows in a sentence, and the same as a table."""

    html: Markup
    text: str
    table: Table


@dataclass(frozen=True)
class Section:
    """A heading with what stands below it, in this order."""

    title: str
    paragraphs: list[str]
    figures: list[Figure] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    commands: list[tuple[str, str]] = field(default_factory=list)  # label, command
    changes: list[tuple[str, list[Change]]] = field(default_factory=list)
