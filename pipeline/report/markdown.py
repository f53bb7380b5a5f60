"""Write the report as GitHub markdown: what the page shows, with figures as their tables."""

import re
from collections.abc import Iterable, Sequence
from math import isnan

from pipeline.report.blocks import Block, Change, Changes, Commands, Figure, QualityTable, Table
from pipeline.report.comparison import Cell
from pipeline.report.document import Document
from pipeline.report.format import MISSING, number, percent
from pipeline.report.sections.tables import costs_of, heads, marks, title


def markdown(document: Document) -> str:
    """Write the verdict, what was compared, and the sections."""
    parts = ["# Comparison", *map(_sentence, document.study.verdict.sentences)]
    if document.glance:
        parts.append(_table(document.glance))
    parts.append("\n".join(f"- {escape(line)}" for line in document.facts))
    for section in document.sections:
        parts.append(f"## {escape(section.title)}")
        for block in section.blocks:
            parts += _block(block)
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Return one line in which nothing is markup; underscores within words need nothing."""
    return re.sub(r"([\\`*|<\[\]])", r"\\\1", " ".join(text.split()))


def _block(block: Block) -> list[str]:
    """Return the block as paragraphs."""
    match block:
        case str():
            return [escape(block)]
        case Figure():
            return [escape(block.text), _table(block.table)]
        case Table():
            return [escape(block.caption), _table(block)]
        case QualityTable():
            return [f"### {escape(title(block.quality))}", _quality(block)]
        case Changes():
            return [f"### {escape(block.title)}", "\n".join(map(_change, block.changes))]
        case Commands():
            return [f"{escape(label)}\n\n    {command}" for label, command in block.commands]


def _sentence(sentence: str) -> str:
    """Set what stands before the first colon in bold."""
    lead, colon, rest = sentence.partition(": ")
    return f"**{escape(lead)}:** {escape(rest)}" if colon else escape(sentence)


def _quality(block: QualityTable) -> str:
    comparison = block.comparison
    shown = heads(comparison)
    rows = []
    for i, point in enumerate(comparison.points):
        words = [escape(point.group), escape(comparison.labels[i])]
        figures = [_cell(cell) for cell in block.quality.rows[i].values()]
        costs = [cost for head, cost in costs_of(comparison, point).items() if head in shown]
        rows.append([*words, *figures, *costs])
    return _rows(shown, rows, names=2)


def _cell(cell: Cell) -> str:
    if isnan(cell.value):
        return MISSING
    value = f"**{number(cell.value)}**" if cell.best else number(cell.value)
    gain = "" if isnan(cell.p_value) else f" ({percent(cell.relative)})"
    return f"{value}{escape(marks(cell))}{gain}"


def _change(change: Change) -> str:
    ranks = " to ".join("not found" if r is None else str(r) for r in (change.before, change.after))
    text = f"1. {escape(change.query or change.query_id)}: rank {ranks} ({change.difference:+.3f})"
    if change.relevant:
        text += f"; relevant: {escape(change.relevant)}"
    if change.first and change.first != change.relevant:
        text += f"; the reranker's first: {escape(change.first)}"
    return text


def _table(table: Table) -> str:
    rows = [[escape(text) for text in row] for row in table.rows]
    return _rows([escape(head) for head in table.heads], rows, table.names)


def _rows(heads: Sequence[str], rows: Sequence[Sequence[str]], names: int) -> str:
    rule = ["---"] * names + ["---:"] * (len(heads) - names)
    return "\n".join(map(_row, [heads, rule, *rows]))


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
