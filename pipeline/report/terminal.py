"""The comparison table of a sweep: on the terminal, and as CSV with every cutoff."""

import csv
from collections.abc import Collection, Sequence
from math import isnan
from pathlib import Path

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from pipeline.evaluation.significance import LEVEL
from pipeline.records import SEARCHES
from pipeline.report.comparison import Cell, Comparison, Quality, ceilings, natural
from pipeline.report.format import MISSING, duration, milliseconds
from pipeline.report.points import Point
from pipeline.report.uncertainty import COLUMNS
from pipeline.tracking.reader import RunRecord

LEGEND = (
    "vector, fts, hybrid: the reranker's order; fused: its order fused with the search's; "
    "group none: the search alone",
    f"bold: best of the column; *: differs from no reranking, p < {LEVEL} (paired randomisation "
    "test, Holm over the table)",
)
CONFIG_COLUMNS = ("negatives", "epochs", "seed")
# What a narrow terminal goes without, step by step; a pipe always gets everything.
HIDDEN = ((), ("group",), ("group", "train"), ("group", "train", "p50 ms"))


def print_tables(comparison: Comparison, console: Console) -> None:
    """Print NDCG and hit rate at the largest cutoff, and the runs that did not finish.

    In a pipe the tables are as wide as they need, on a terminal as wide as it is.
    """
    for line in header(comparison):
        console.print(line, markup=False, soft_wrap=True)
    for quality in comparison.qualities[:2]:
        for hidden in HIDDEN:
            table = _rich_table(comparison, quality, hidden)
            needed = Measurement.get(console, console.options.update(width=10_000), table).maximum
            if not console.is_terminal or needed <= console.width:
                break
        console.print()
        console.print(title(quality), style="bold", markup=False, soft_wrap=True)
        if not console.is_terminal:  # 80 columns there is rich's guess, nobody's wish
            console.width = max(console.width, needed)
        console.print(table)
    if comparison.runs:
        for line in legend(comparison):
            console.print(line, style="dim", markup=False, soft_wrap=True)
    for line in unfinished(comparison):
        console.print(line, style="red", markup=False, soft_wrap=True)


def header(comparison: Comparison) -> list[str]:
    """What was compared: queries, passages, the candidates' ceiling."""
    if not comparison.runs:
        return ["no run of this sweep has finished"]
    runs = len(comparison.runs)
    over = f" over {int(comparison.passages):,} passages" if comparison.passages else ""
    queries = (
        f"{comparison.queries:,} queries{over}" if comparison.queries else "no per-query values"
    )
    lines = [f"{runs} run{'s' * (runs > 1)} on {comparison.title}: {queries}"]
    for quality in comparison.qualities[:1]:
        for depth, of in ceilings(comparison, quality).items():
            parts = (f"{mode} {value:.3f}" for mode, value in of.items())
            candidates = f"the {depth or '?'} candidates in ideal order"
            lines.append(f"ceiling ({quality.name} of {candidates}): {', '.join(parts)}")
    if comparison.latency_limit is None:
        lines.append("latency was not measured")
    else:
        limit = comparison.latency_limit
        lines.append(f"p50 ms: median of one vector query, {limit} passages reranked")
    return lines


def legend(comparison: Comparison) -> list[str]:
    """What the columns and marks of the tables mean."""
    if comparison.baseline is None:
        return [*LEGEND]
    return [*LEGEND, f"†: differs from {comparison.baseline}, tested in the same way"]


def title(quality: Quality) -> str:
    """``NDCG@10 (95% interval of no reranking: vector ±0.043 ...)``."""
    widths = ", ".join(f"{mode} ±{width:.3f}" for mode, width in quality.half_width.items())
    about = f" (95% interval of no reranking: {widths})" if widths else ""
    return quality.name + about


def unfinished(comparison: Comparison) -> list[str]:
    """One line per point that failed, was interrupted, runs or was not started, with the reason."""
    lines = []
    for run in sorted(comparison.unfinished, key=lambda run: natural(run.name)):
        reason = " ".join(run.tags.get("failure", "no reason recorded").split())
        host = f"on {run.tags.get('host', '?')}, pid {run.tags.get('pid', '?')}, or lost"
        lines.append(f"{run.status} {run.name}: {host if run.status == 'RUNNING' else reason}")
    return lines


def write_csv(path: Path, comparisons: Sequence[Comparison]) -> None:
    """One row per point, finished first; every metric in full precision.

    Seeds that were pooled have their run ids and seeds in one cell, the metrics are means. For
    every metric that is compared there follow ``gain NAME``, a share of the search alone, the ends
    of its 95% interval, ``low NAME`` and ``high NAME``, the Holm-corrected ``p NAME``, with a
    baseline ``p baseline NAME``, and ``as good NAME``: 1 where a test can't tell it from the best.
    """
    rows = [row for comparison in comparisons for row in _csv_rows(comparison)]
    about = ["run", "run_id", "status", "group", "dataset", "arch", "base"]
    about += [*CONFIG_COLUMNS, "failure"]
    names = dict.fromkeys(name for row in rows for name in row if name not in about)
    tested = [name for name in names if " " in name]
    metrics = sorted((name for name in names if " " not in name), key=natural)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*about, *metrics, *tested], "", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _csv_rows(comparison: Comparison) -> list[dict[str, str]]:
    prefixes = (*SEARCHES, "latency/", "train/", "eval/")
    rows = []
    for i, run in enumerate([*comparison.runs, *comparison.unfinished]):
        members = run.runs if isinstance(run, Point) else (run,)
        row = {
            "run": run.name,
            "run_id": " ".join(member.run_id for member in members),
            "status": run.status,
            "group": group_of(run),
            "dataset": run.tags.get("dataset", ""),
            "arch": run.tags.get("arch", ""),
            "base": run.tags.get("base", ""),
            "failure": run.tags.get("failure", ""),
        }
        row |= {name: run.params.get(name, "") for name in CONFIG_COLUMNS}
        row["seed"] = " ".join(member.params.get("seed", "") for member in members)
        row |= {n: _full(v) for n, v in run.metrics.items() if n.startswith(prefixes)}
        if isinstance(run, Point):
            for quality in comparison.qualities:
                for column, cell in quality.rows[i].items():
                    row |= _tested(f"{column}/{quality.metric}", cell, comparison)
        rows.append(row)
    return rows


def _tested(metric: str, cell: Cell, comparison: Comparison) -> dict[str, str]:
    figures = {"gain": cell.relative, "low": cell.low, "high": cell.high, "p": cell.p_value}
    if comparison.baseline is not None:
        figures["p baseline"] = cell.p_baseline
    row = {f"{what} {metric}": _full(value) for what, value in figures.items()}
    return row | {f"as good {metric}": str(int(cell.best or cell.as_good))}


def _rich_table(comparison: Comparison, quality: Quality, hidden: Collection[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    heads = column_titles(comparison, hidden)
    for head in heads:
        if head in ("group", "run"):
            table.add_column(head, overflow="fold")
        else:
            # Figures stay on the left, so that a * does not move the point out of line.
            figure = head in SEARCHES or head == "fused"
            table.add_column(head, justify="left" if figure else "right", no_wrap=True)
    previous = None
    for i, run in enumerate(comparison.runs):
        group = group_of(run)
        if previous not in (None, group):
            table.add_section()
        texts = {
            "group": Text("" if group == previous else group),
            "run": Text(comparison.labels[i]),
        }
        figures = [_rich_cell(cell) for cell in quality.rows[i].values()]
        costs = {head: Text(cost) for head, cost in costs_of(comparison, run).items()}
        start = [text for head, text in texts.items() if head in heads]
        table.add_row(*start, *figures, *(text for head, text in costs.items() if head in heads))
        previous = group
    return table


def column_titles(comparison: Comparison, hidden: Collection[str]) -> list[str]:
    """Column titles; a cost that no run has is left out."""
    costs = [costs_of(comparison, run) for run in comparison.runs]
    there = [head for head in ("p50 ms", "train") if any(c[head] != MISSING for c in costs)]
    figures = [mode if column.endswith("reranked") else "fused" for column, mode in COLUMNS.items()]
    return [head for head in ("group", "run", *figures, *there) if head not in hidden]


def costs_of(comparison: Comparison, run: RunRecord) -> dict[str, str]:
    """Column title -> milliseconds and ``0:04:48``, a dash for what was not measured."""
    latency, seconds = comparison.latency(run), run.metrics.get("train/seconds")
    return {
        "p50 ms": milliseconds(latency).removesuffix(" ms"),
        "train": duration(seconds),
    }


def group_of(run: RunRecord) -> str:
    """The tag ``initialisation``."""
    return run.tags.get("initialisation", "?")


def _rich_cell(cell: Cell) -> Text:
    if isnan(cell.value):
        return Text(MISSING)
    colour = ("green" if cell.gain > 0 else "red") if cell.significant else ""
    style = f"{'bold' if cell.best else ''} {colour}".strip()
    return Text(f"{cell.value:.3f}{'*' * cell.significant}{'†' * cell.differs}", style=style)


def _full(value: float | None) -> str:
    return "" if value is None or isnan(value) else repr(value)
