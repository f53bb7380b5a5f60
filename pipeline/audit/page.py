"""The report as one HTML file that needs nothing else: style and plots are inside."""

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pipeline.audit.findings import Finding, Report
from pipeline.audit.summary import figures, headline, size

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #1a1a1a; background: #fff; }
h1 { overflow-wrap: anywhere; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .2rem .8rem .2rem 0; text-align: right; }
th:first-child, td:first-child { text-align: left; }
thead th { border-bottom: 1px solid #999; }
section { border-left: .4rem solid #767676; padding-left: 1rem; margin: 1.5rem 0; }
section.unusable { border-color: #b00020; } section.warning { border-color: #b36b00; }
section h3 { margin: 0; } section p { margin: .2rem 0; }
li { overflow-wrap: anywhere; }
figure { margin: 1.5rem 0; } img { max-width: 100%; height: auto; }
"""
BLUE, RED = "#3465a4", "#b00020"


def html(report: Report) -> str:
    """The whole page; everything that comes from the file is escaped."""
    title = f"Audit of {report.path}"
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
        f"<p><strong>{escape(headline(report))}</strong><br>{escape(size(report))}</p>",
        *(_table(heads, rows) for heads, rows in figures(report)),
        "<h2>Findings</h2>",
        *(map(_section, report.findings) if report.findings else ["<p>None.</p>"]),
        "<h2>Distributions</h2>",
        *_plots(report.facts),
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    top = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _section(finding: Finding) -> str:
    examples = "".join(f"<li>{escape(example)}</li>" for example in finding.examples)
    more = finding.count - len(finding.examples)
    rest = f"<p>and {more:,} more</p>" if finding.examples and more > 0 else ""
    return (
        f'<section class="{finding.severity}"><h3>{finding.severity}: {escape(finding.message)}'
        f" ({finding.count:,})</h3>"
        f"<p>Cost: {escape(finding.cost)}.</p><p>Do: {escape(finding.advice)}.</p>"
        f"{f'<ul>{examples}</ul>' if examples else ''}{rest}</section>"
    )


def _plots(facts: Mapping[str, Any]) -> list[str]:
    labels, positives, tokens = facts["labels"], facts["positives_per_query"], facts["tokens"]
    longest = tokens["max_length"]
    figure, axes = _axes("label", "rows")
    axes.bar(list(map(int, labels)), list(labels.values()), color=BLUE)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    plots = [_image(figure, f"Rows per label: {_listed(labels)}")]

    figure, axes = _axes("passages labelled above 0", "queries")
    axes.bar(list(map(int, positives)), list(positives.values()), color=BLUE)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    plots.append(_image(figure, f"Queries by relevant passages: {_listed(positives)}"))

    figure, axes = _axes("tokens of query and passage together", "pairs")
    edges, counts = tokens["histogram"]["edges"], tokens["histogram"]["counts"]
    widths = [right - left for left, right in pairwise(edges)]
    axes.bar(edges[:-1], counts, widths, align="edge", color=BLUE)
    axes.axvline(longest, color=RED, linestyle="--")
    axes.text(longest, max(counts), f" max_length={longest}", color=RED, va="top")
    about = f"{tokens['cut_share']:.0%} of the pairs are longer than max_length={longest} tokens"
    plots.append(_image(figure, f"Lengths of pairs: {about}; the last bar holds all longer ones"))
    return plots


def _listed(counts: Mapping[str, int]) -> str:
    shown = ", ".join(f"{name}: {count:,}" for name, count in list(counts.items())[:12])
    return f"{shown}, ..." if len(counts) > 12 else shown or "none"


def _axes(x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7, 2.6), layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _image(figure: Figure, description: str) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=144, metadata={"Software": None})
    data = base64.b64encode(buffer.getvalue()).decode()
    text = escape(description)
    return (
        f'<figure><img alt="{text}" src="data:image/png;base64,{data}">'
        f"<figcaption>{text}</figcaption></figure>"
    )
