"""Print two systems as tables: coloured on a terminal, plain and whole in a pipe."""

import sys
from collections.abc import Sequence
from math import isnan
from textwrap import shorten

from rich.console import Console

from pipeline.evaluation.significance import LEVEL
from pipeline.infra.tables import filled
from pipeline.report.format import MISSING, number, span
from pipeline.report.pair.difference import Answer, Case, Difference, Row

TEXT = 160  # characters of a text that are shown
CELL = 80  # characters of a setting that are shown, as a list of packages is long
STYLES = {"up": "bold green", "down": "bold red", "": ""}
PIPE = 200  # columns where the output is no terminal

Grid = tuple[list[str], list[list[str]]]  # heads and rows


def show(difference: Difference) -> None:
    """Print what was compared, the table of metrics, the costs and the chosen queries."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE)

    def say(text: str, style: str = "") -> None:
        console.print(text, style=style, markup=False, soft_wrap=True)

    for line in difference.about:
        say(line)
    if difference.config is not None:
        say("\nconfiguration", "bold")
        if difference.config:
            rows = [
                [shorten(cell, CELL, placeholder=" ...") for cell in row]
                for row in difference.config
            ]
            console.print(filled(("", *difference.labels), rows, words=3))
        else:
            say("the same")
    say("\nquality", "bold")
    heads, rows = quality(difference.labels, difference.rows)
    console.print(filled(heads, rows, styles=[STYLES[row.direction] for row in difference.rows]))
    for line in legend(difference):
        say(line, "dim")
    if difference.costs:
        say("\ncost", "bold")
        console.print(filled(*costs(difference)))
    for heading, cases in difference.cases:
        if cases:
            say(f"\n{heading}", "bold")
        for place, case in enumerate(cases, start=1):
            name = f"{_short(case.query)}  [{case.query_id}]" if case.query else case.query_id
            say(f"{place:2}. {values(case, difference.labels)}  {name}")
            for role, text in texts(case, difference.labels):
                say(f"    {role}: {_short(text)}", "dim")


def quality(labels: tuple[str, str], rows: Sequence[Row]) -> Grid:
    """Return the table of metrics, without the columns that no row has."""
    a, b = labels
    columns = [("", [row.name for row in rows])]
    if any(not isnan(row.alone) for row in rows):
        columns.append(("no reranking", [number(row.alone, ".4f") for row in rows]))
    compared = any(not isnan(row.a) for row in rows)
    if compared:
        columns.append((a, [number(row.a, ".4f") for row in rows]))
    columns.append((b, [number(row.b, ".4f") for row in rows]))
    columns.append(("95%", [span(row.low, row.high, ".4f", "..") for row in rows]))
    if compared:
        columns.append(("difference", [number(row.b - row.a, "+.4f") for row in rows]))
        tests = [(row, row.difference) for row in rows]
        columns += [
            ("95%", [span(d.low, d.high, "+.4f", "..") if d else MISSING for _, d in tests]),
            ("gain", [number(row.gain, "+.1%") for row in rows]),
            ("p", [f"{d.p_value:.4f}" if d else MISSING for _, d in tests]),
            (
                "wins/ties/losses",
                [f"{row.wins}/{row.ties}/{row.losses}" if d else MISSING for row, d in tests],
            ),
        ]
    heads = [head for head, _ in columns]
    return heads, [list(cells) for cells in zip(*(cells for _, cells in columns), strict=True)]


def legend(difference: Difference) -> list[str]:
    """Explain the columns of the table of metrics; nothing where nothing is tested."""
    if not any(row.difference for row in difference.rows):
        return []
    a, b = difference.labels
    return [
        "95% intervals: bootstrap over queries; p: paired randomisation test, of each row alone "
        f"(bold: p < {LEVEL})",
        f"difference: {b} - {a}; gain: ({b} - {a}) / {a}; "
        f"wins/ties/losses: queries on which {b} is better, equal, worse",
    ]


def costs(difference: Difference) -> Grid:
    """Return the table of costs, with the ratio of the two systems."""
    a, b = difference.labels
    rows = []
    for row in difference.costs:
        ratio = row.b / row.a if row.a else float("nan")
        rows.append([row.name, number(row.a, ",.1f"), number(row.b, ",.1f"), number(ratio, ".2f")])
    return ["", a, b, f"{b} / {a}"], rows


def values(case: Case, labels: tuple[str, str]) -> str:
    """Write both values of a query: ``A 0.250, B 1.000``."""
    return ", ".join(f"{label} {answer.value:.3f}" for label, answer in _answers(case, labels))


def texts(case: Case, labels: tuple[str, str]) -> list[tuple[str, str]]:
    """Return the passages of a query that are known, each with its role."""
    known = [(label, answer) for label, answer in _answers(case, labels) if answer.first_id]
    ranks = ", ".join(f"{label} rank {answer.rank or MISSING}" for label, answer in known)
    shown = [(f"relevant ({ranks})" if ranks else "relevant", case.relevant)]
    for label, answer in known:
        same = answer.first_id == case.relevant_id
        shown.append((f"{label} first", "this one" if same else answer.first))
    return [(role, text) for role, text in shown if text]


def _answers(case: Case, labels: tuple[str, str]) -> list[tuple[str, Answer]]:
    a, b = labels
    return [(a, case.a), (b, case.b)] if case.a else [(b, case.b)]


def _short(text: str) -> str:
    return shorten(text, TEXT, placeholder="…")
