"""The blocks that a section is made of; ``page`` and ``markdown`` can each write every kind."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from markupsafe import Markup

from pipeline.report.comparison import Comparison, Quality


@dataclass(frozen=True)
class Table:
    """A table of text; the first ``names`` columns are words, the others figures."""

    kind: ClassVar[str] = "table"
    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    names: int = 1


@dataclass(frozen=True)
class Figure:
    """A figure, what it shows in a sentence, and the same as a table."""

    kind: ClassVar[str] = "figure"
    html: Markup
    text: str
    table: Table


@dataclass(frozen=True)
class QualityTable:
    """One measure of every point, with marks for the best and for what is more than chance."""

    kind: ClassVar[str] = "quality"
    comparison: Comparison
    quality: Quality


@dataclass(frozen=True)
class Change:
    """One query with the rank of its first relevant passage; None: not among the candidates."""

    query_id: str
    difference: float  # of the metric
    before: int | None
    after: int | None
    query: str  # empty where the run kept no texts
    relevant: str
    first: str  # the passage that the reranker put first


@dataclass(frozen=True)
class Changes:
    """Queries that became better, or worse, below a heading."""

    kind: ClassVar[str] = "changes"
    title: str
    changes: Sequence[Change]


@dataclass(frozen=True)
class Commands:
    """Lines for the shell, each with its label."""

    kind: ClassVar[str] = "commands"
    commands: Sequence[tuple[str, str]]


Block = str | Table | Figure | QualityTable | Changes | Commands
"""A text is a paragraph."""


@dataclass(frozen=True)
class Section:
    """A heading with what stands below it, in this order."""

    title: str
    blocks: Sequence[Block]
