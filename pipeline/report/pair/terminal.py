"""Two runs on the terminal: coloured where it can, plain and whole in a pipe."""

import sys
from collections.abc import Iterable, Sequence
from math import isnan
from textwrap import shorten

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.evaluation.significance import LEVEL
from pipeline.records import FIRST_STAGE
from pipeline.report.pair.difference import Case, Difference, Row

TEXT = 160  # characters of a text that are shown
QUALITY_HEADS = ("", "A", "B", "B - A", "95%", "p", "A better", "equal", "B better")
COST_HEADS = ("", "A", "B", "B / A")
LEGEND = (
    "95%: bootstrap over queries; p: paired randomisation test, of each row alone "
    f"(bold: p < {LEVEL})"
)


def show(difference: Difference) -> None:
    """Print configuration, metrics at the largest cutoff, costs and the queries that differ."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)

    def say(text: str, style: str = "") -> None:
        console.print(text, style=style, markup=False, soft_wrap=True)

    for line in header(difference):
        say(line)
    say("\nconfiguration", "bold")
    if difference.config:
        console.print(_table(("", "A", "B"), difference.config, fold=True))
    else:
        say("the same")
    say("\nquality", "bold")
    largest = [row for row in difference.quality if row.name.endswith(_cutoff(difference))]
    styles = [style(row) for row in largest]
    console.print(_table(QUALITY_HEADS, map(quality_cells, largest), styles))
    if not difference.unpaired:
        say(LEGEND, "dim")
    say("\ncost", "bold")
    console.print(_table(COST_HEADS, map(cost_cells, difference.costs)))
    for name, cases in (("A", difference.better_a), ("B", difference.better_b)):
        if cases:
            say(f"\nqueries on which {name} is better ({difference.metric})", "bold")
        for number, case in enumerate(cases, start=1):
            query = f"{_short(case.query)}  [{case.query_id}]" if case.query else case.query_id
            say(f"{number:2}. A {case.a:.3f}, B {case.b:.3f}  {query}")
            for what, text in texts(case):
                say(f"    {what}: {_short(text)}", "dim")


def header(difference: Difference) -> list[str]:
    """Who A and B are, and what was compared."""
    lines = [
        f"{letter}: {run.name} ({run.run_id})"
        for letter, run in (("A", difference.a), ("B", difference.b))
    ]
    if difference.unpaired:
        return [*lines, f"{difference.unpaired}: only means, not to be compared query by query"]
    data = difference.a.tags.get("dataset", "")
    fingerprint = difference.a.params["data.fingerprint"][:8]
    lines.append(f"paired over {difference.queries:,} queries of {data} {fingerprint}")
    searched = [f"{key} {a} and {b}" for key, a, b in difference.config if key in FIRST_STAGE]
    if searched:
        lines.append(f"the search differs too: {', '.join(searched)}")
    return lines


def quality_cells(row: Row) -> tuple[str, ...]:
    """One row below QUALITY_HEADS."""
    d = row.difference
    if d is None:
        gap = row.b - row.a
        return row.name, figure(row.a), figure(row.b), signed(gap), "-", "-", "-", "-", "-"
    return (
        row.name,
        figure(row.a),
        figure(row.b),
        signed(d.mean),
        f"{d.low:+.4f}..{d.high:+.4f}",
        f"{d.p_value:.4f}",
        *map(str, (row.better_a, row.equal, row.better_b)),
    )


def cost_cells(row: Row) -> tuple[str, ...]:
    """One row below COST_HEADS."""
    ratio = "-" if isnan(row.a) or isnan(row.b) or row.a == 0 else f"{row.b / row.a:.2f}"
    return row.name, *("-" if isnan(v) else f"{v:,.1f}" for v in (row.a, row.b)), ratio


def texts(case: Case) -> list[tuple[str, str]]:
    """What the store has of the passages, each with a word on what it is."""
    firsts = [("A first", case.first_a), ("B first", case.first_b)]
    shown = [("relevant", case.relevant)]
    shown += [(what, "this one" if text == case.relevant else text) for what, text in firsts]
    return [(what, text) for what, text in shown if text]


def style(row: Row) -> str:
    """Green where B is better, red where A is, beyond chance."""
    if row.difference is None or row.difference.p_value >= LEVEL:
        return ""
    return "bold green" if row.difference.mean > 0 else "bold red"


def figure(value: float) -> str:
    """Four digits, as the metrics are 0..1."""
    return "-" if isnan(value) else f"{value:.4f}"


def signed(value: float) -> str:
    """Four digits with the sign."""
    return "-" if isnan(value) else f"{value:+.4f}"


def _cutoff(difference: Difference) -> str:
    return "_at_" + difference.metric.rsplit("_", 1)[1]


def _table(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    styles: Sequence[str] = (),
    fold: bool = False,
) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for head in heads:
        right = bool(head) and not fold
        table.add_column(head, justify="right" if right else "left", overflow="fold")
    for number, row in enumerate(rows):
        look = styles[number] if number < len(styles) else ""
        table.add_row(*(Text(cell, style=look) for cell in row))
    return table


def _short(text: str) -> str:
    return shorten(text, TEXT, placeholder="…")
