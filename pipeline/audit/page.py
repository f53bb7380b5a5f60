"""Save an audit: as JSON for programs, and as one HTML page that needs no other file."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.audit.findings import Report
from pipeline.audit.summary import figures, headline, size
from pipeline.infra.html import render

LISTED = 12  # bars whose counts a caption lists


@dataclass(frozen=True)
class Chart:
    """Bars from left to right: ``counts`` maps what stands below a bar to its height.

    A dashed line named ``limit`` stands at ``limit_share`` of the width.
    """

    text: str
    x: str
    y: str
    counts: Mapping[str, int]
    limit: str = ""
    limit_share: float = 0.0


def save(report: Report, folder: Path) -> None:
    """Write ``audit.json`` and ``audit.html`` into ``folder``."""
    facts = json.dumps(asdict(report), indent=2, ensure_ascii=False)
    page = html(report)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "audit.json").write_text(facts + "\n", encoding="utf-8")
    (folder / "audit.html").write_text(page, encoding="utf-8")


def html(report: Report) -> str:
    """Render the whole page; the template escapes everything that comes from the file."""
    return render(
        "pipeline.audit",
        "page.html.jinja",
        title=f"Audit of {report.path}",
        headline=headline(report),
        size=size(report),
        tables=figures(report),
        findings=report.findings,
        charts=_charts(report.facts),
    )


def _charts(facts: Mapping[str, Any]) -> list[Chart]:
    labels, positives, tokens = facts["labels"], facts["positives_per_query"], facts["tokens"]
    charts = [
        Chart(f"Rows per label: {_listed(labels)}", "label", "rows", labels),
        Chart(
            f"Queries by relevant passages: {_listed(positives)}",
            "passages labelled above 0",
            "queries",
            positives,
        ),
    ]
    return charts if tokens is None else [*charts, _lengths(tokens)]


def _lengths(tokens: Mapping[str, Any]) -> Chart:
    longest, edges = tokens["max_length"], tokens["histogram"]["edges"]
    bins = dict(zip(map(str, edges), tokens["histogram"]["counts"], strict=False))
    cut = f"{tokens['cut_share']:.0%} of the pairs are longer than max_length={longest} tokens"
    return Chart(
        f"Lengths of pairs: {cut}; a bar begins at its number, the last holds all longer ones",
        "tokens that are read together",
        "pairs",
        bins if any(bins.values()) else {},
        limit=f"max_length={longest}",
        limit_share=min(longest / edges[-1], 1.0),
    )


def _listed(counts: Mapping[str, int]) -> str:
    shown = ", ".join(f"{name}: {count:,}" for name, count in list(counts.items())[:LISTED])
    return f"{shown}, ..." if len(counts) > LISTED else shown or "none"
