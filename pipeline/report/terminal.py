"""Print the comparison of a sweep on the terminal."""

from math import isnan

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from pipeline.evaluation.significance import LEVEL
from pipeline.infra.tables import filled, framed
from pipeline.report import blocks
from pipeline.report.comparison import Cell, Comparison, Quality
from pipeline.report.format import MISSING
from pipeline.report.sections.cost import unfinished
from pipeline.report.sections.tables import COLUMN_HEADS, costs_of, facts, heads, title
from pipeline.report.weak import pointer

LEGEND = (
    "vector, fts, hybrid: the reranker's order; fused: its order fused with the search's; "
    "group none: the search alone",
    f"bold: best of the column; *: differs from no reranking, p < {LEVEL} (paired randomisation "
    "test, corrected over the table)",
)
# What a narrow terminal goes without, step by step; a pipe always gets everything.
HIDDEN = ((), ("group",), ("group", "train"), ("group", "train", "p50 ms"))


def print_tables(comparison: Comparison, console: Console) -> None:
    """Print NDCG and hit rate at the largest cutoff, and the runs that did not finish.

    In a pipe the tables are as wide as they need, on a terminal as wide as it is.
    """
    for line in facts(comparison):
        console.print(line, markup=False, soft_wrap=True)
    if weak := pointer(comparison):
        console.print(weak, markup=False, soft_wrap=True)
    for quality in comparison.qualities[:2]:
        console.print()
        console.print(title(quality), style="bold", markup=False, soft_wrap=True)
        _print_fitting(comparison, quality, console)
    if comparison.points:
        for line in _legend(comparison):
            console.print(line, style="dim", markup=False, soft_wrap=True)
    for run, reason in unfinished(comparison):
        line = f"{run.status} {run.name}: {reason}"
        console.print(line, style="red", markup=False, soft_wrap=True)


def print_table(table: blocks.Table, console: Console) -> None:
    """Print a table of the report, on a terminal in its width."""
    shown = filled(table.heads, table.rows, table.names)
    for column in shown.columns[table.names :]:
        column.no_wrap = True
    console.print(table.caption, style="bold", markup=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = max(console.width, _needed(shown, console))
    console.print(shown)


def _needed(table: Table, console: Console) -> int:
    """Return the width of the table in which nothing is cut or folded."""
    return Measurement.get(console, console.options.update(width=10_000), table).maximum


def _legend(comparison: Comparison) -> list[str]:
    if comparison.baseline is None:
        return [*LEGEND]
    return [*LEGEND, f"†: differs from {comparison.baseline}, tested in the same way"]


def _print_fitting(comparison: Comparison, quality: Quality, console: Console) -> None:
    """Print the table with as many columns as the terminal has room for."""
    for hidden in HIDDEN:
        table = _table(comparison, quality, hidden)
        needed = _needed(table, console)
        if not console.is_terminal or needed <= console.width:
            break
    if not console.is_terminal:  # rich takes a pipe for 80 columns wide
        console.width = max(console.width, needed)
    console.print(table)


def _table(comparison: Comparison, quality: Quality, hidden: tuple[str, ...]) -> Table:
    table = framed()
    shown = [head for head in heads(comparison) if head not in hidden]
    for head in shown:
        if head in ("group", "run"):
            table.add_column(head, overflow="fold")
        else:
            # Figures stay on the left, so that a * does not move the point out of line.
            figure = head in COLUMN_HEADS.values()
            table.add_column(head, justify="left" if figure else "right", no_wrap=True)
    previous = ""
    for i, point in enumerate(comparison.points):
        if previous not in ("", point.group):
            table.add_section()
        words = {
            "group": "" if point.group == previous else point.group,
            "run": comparison.labels[i],
        }
        figures = [_figure(cell) for cell in quality.rows[i].values()]
        start = [Text(word) for head, word in words.items() if head in shown]
        costs = [Text(c) for head, c in costs_of(comparison, point).items() if head in shown]
        table.add_row(*start, *figures, *costs)
        previous = point.group
    return table


def _figure(cell: Cell) -> Text:
    if isnan(cell.value):
        return Text(MISSING)
    colour = ("green" if cell.gain > 0 else "red") if cell.significant else ""
    style = f"{'bold' if cell.best else ''} {colour}".strip()
    return Text(f"{cell.value:.3f}{'*' * cell.significant}{'†' * cell.differs}", style=style)
