"""Print the report on the terminal; prepare the figures that terminal and page share."""

from textwrap import fill
from typing import Any

from rich.console import Console
from rich.text import Text

from pipeline.audit.findings import SEVERITIES, Report
from pipeline.infra.tables import filled

STYLES = {"unusable": "bold red", "warning": "yellow", "info": "dim"}
WIDTH = 100  # columns at most; also in a pipe
SHOWN = 10  # labels or splits in a table
EXAMPLES = 5  # of a finding; the page has all that are kept

Grid = tuple[str, list[str], list[list[str]]]  # caption, heads and rows


def headline(report: Report) -> str:
    """State in a line how good the file is and how many findings there are."""
    counts = [sum(f.severity == severity for f in report.findings) for severity in SEVERITIES]
    unusable, warnings, infos = counts
    verdict = "unusable" if unusable else "usable, with warnings" if warnings else "clean"
    return f"{verdict} (findings: {unusable} unusable, {warnings} warning, {infos} info)"


def size(report: Report) -> str:
    """State in a line how many pairs, queries, passages and rows there are."""
    facts: Any = report.facts
    pairs = _counted(facts["pairs"], "pair", "pairs")
    queries = _counted(facts["queries"], "query", "queries")
    passages = _counted(facts["passages"], "passage", "passages")
    rows = _counted(facts["rows"], "row", "rows")
    return f"{pairs} of {queries} and {passages}, from {facts['usable_rows']:,} usable of {rows}"


def _counted(number: int, one: str, several: str) -> str:
    return f"{number:,} {one if number == 1 else several}"


def figures(report: Report) -> list[Grid]:
    """Make the tables of labels, by split if there are any, and of token lengths."""
    facts: Any = report.facts
    labels = list(facts["labels"])[:SHOWN]
    splits = list(facts["splits"].items())[:SHOWN]
    counts = [[name, *(f"{rows.get(n, 0):,}" for n in labels)] for name, rows in splits]
    counts.append(["all", *(f"{facts['labels'][n]:,}" for n in labels)])
    tables: list[Grid] = []
    if labels:
        tables.append(("Rows of every label", ["rows with label", *labels], counts))
    tokens = facts["tokens"]
    lengths = [
        [name, *(f"{value:,}" for value in tokens[name].values())]
        for name in ("queries", "passages", "pairs")
        if tokens and tokens[name]
    ]
    if lengths:
        heads = ["tokens", "median", "90%", "95%", "99%", "longest"]
        tables.append(("Lengths of texts in tokens", heads, lengths))
    return tables


def show(report: Report, console: Console) -> None:
    """Print the report, every finding with its cost and advice."""
    if not console.is_terminal or console.width > WIDTH:
        console.width = WIDTH
    console.print(Text(report.path, style="bold"))
    console.print(Text(headline(report)))
    console.print(Text(size(report)))
    for _, heads, rows in figures(report):
        console.print(filled(heads, rows, gap=2))
    for finding in report.findings:
        title = Text(f"\n{finding.severity:<8} ", style=STYLES[finding.severity])
        title.append(f"{finding.message} ({finding.count:,})", style="default")
        console.print(title)
        lines = [f"cost: {finding.cost}", f"do:   {finding.advice}"]
        lines += [f"- {example}" for example in finding.examples[:EXAMPLES]]
        if len(finding.examples) > EXAMPLES:
            lines.append(f"- and {finding.count - EXAMPLES:,} more, see audit.html")
        for line in lines:
            wrapped = fill(line, console.width, initial_indent=" " * 9, subsequent_indent=" " * 11)
            console.print(Text(wrapped), soft_wrap=True)
