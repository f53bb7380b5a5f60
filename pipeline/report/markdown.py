"""The report as GitHub markdown: everything that the page says, figures as their tables."""

import re
from collections.abc import Iterable, Sequence
from math import isnan

from pipeline.report.blocks import Section, Table
from pipeline.report.comparison import Cell, Comparison, Quality
from pipeline.report.document import Study
from pipeline.report.format import MISSING, number, percent
from pipeline.report.sections.queries import Change
from pipeline.report.terminal import column_titles, costs_of, group_of, legend, title

NAMES = ("group", "run")  # the columns of words in the tables of figures


def markdown(study: Study) -> str:
    """The verdict, the tables of every cutoff, and the sections."""
    comparison = study.comparison
    parts = ["# Comparison", *map(_sentence, study.verdict.sentences)]
    if study.glance:
        parts.append(_table(study.glance))
    parts.append("\n".join(f"- {escape(line)}" for line in study.facts))
    for quality in comparison.qualities:
        parts += [f"## {escape(title(quality))}", _figures(comparison, quality)]
    if comparison.qualities:
        about = "in brackets: the gain over the search alone; ≈: a test can't tell it from the best"
        parts.append(f"{about} of the column")
        parts += map(escape, legend(comparison))
    for section in study.sections:
        parts += _section(section)
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """One line in which nothing is markup; underscores within words need nothing."""
    return re.sub(r"([\\`*|<\[\]])", r"\\\1", " ".join(text.split()))


def _sentence(sentence: str) -> str:
    lead, colon, rest = sentence.partition(": ")
    return f"**{escape(lead)}:** {escape(rest)}" if colon else escape(sentence)


def _figures(comparison: Comparison, quality: Quality) -> str:
    heads = column_titles(comparison, ())
    rows = []
    for run, label, cells in zip(comparison.runs, comparison.labels, quality.rows, strict=True):
        costs = [cost for head, cost in costs_of(comparison, run).items() if head in heads]
        figures = [_cell(cell) for cell in cells.values()]
        rows.append([escape(group_of(run)), escape(label), *figures, *costs])
    return _rows(heads, rows, len(NAMES))


def _cell(cell: Cell) -> str:
    if isnan(cell.value):
        return MISSING
    value = f"**{number(cell.value)}**" if cell.best else number(cell.value)
    marks = r"\*" * cell.significant + "†" * cell.differs + "≈" * cell.as_good
    return value + marks + ("" if isnan(cell.p_value) else f" ({percent(cell.relative)})")


def _section(section: Section) -> list[str]:
    parts = [f"## {escape(section.title)}", *map(escape, section.paragraphs)]
    for figure in section.figures:
        parts += [escape(figure.text), _table(figure.table)]
    for table in section.tables:
        parts += [escape(table.caption), _table(table)]
    for heading, changes in section.changes:
        parts += [f"### {escape(heading)}", "\n".join(map(_change, changes))]
    parts += [f"{escape(label)}\n\n    {command}" for label, command in section.commands]
    return parts


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
