"""Lay out tables for the terminal: a rule below the heads, no other lines."""

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text


def framed(gap: int = 1) -> Table:
    """Return a table without columns, with ``gap`` blanks between them."""
    return Table(box=box.SIMPLE_HEAD, padding=(0, gap, 0, 0), pad_edge=False, show_edge=False)


def filled(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    words: int = 1,
    styles: Sequence[str] = (),
    gap: int = 1,
) -> Table:
    """Return a table of ``rows``, each in its style of rich, if there are ``styles``.

    The first ``words`` columns are on the left, figures on the right.
    """
    table = framed(gap)
    for place, head in enumerate(heads):
        table.add_column(head, justify="left" if place < words else "right", overflow="fold")
    for row, style in zip(rows, styles or [""] * len(rows), strict=True):
        table.add_row(*(Text(cell, style=style) for cell in row))
    return table
