"""A comparison for people (tables) and for programs (one JSON object)."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from textwrap import shorten

from rich import box
from rich.console import Console
from rich.table import Table

from pipeline.evaluation.significance import LEVEL
from pipeline.experiment.head_to_head import Task
from pipeline.report.pair.comparison import Case, Row

TEXT = 160  # characters of a text that are shown


@dataclass(frozen=True)
class Result:
    """What one call of the command found out; names are as the user gave them."""

    model: str
    baseline: str | None  # None: no comparison
    metric: str
    search: str  # of the gate and the worst queries
    task: Task
    rows: Sequence[Row]
    worst: Sequence[Case]


def as_json(result: Result, min_gain: float | None) -> str:
    """One object; what does not exist or is not finite is null."""
    row = next(row for row in result.rows if row.search == result.search)
    content = {
        "model": result.model,
        "baseline": result.baseline,
        "dataset": result.task.dataset.name,
        "fingerprint": result.task.dataset.fingerprint,
        "mode": result.task.mode,
        "metric": result.metric,
        "queries": len(result.task.queries),
        "searches": {row.search: _row(row) for row in result.rows},
        "gate": None
        if min_gain is None or row.difference is None
        else {
            "search": row.search,
            "min_gain": min_gain,
            "gain": _finite(row.gain),
            "p_value": row.difference.p_value,
            "passed": row.gain >= min_gain and row.difference.p_value < LEVEL,
        },
        "worst": [asdict(case) for case in result.worst],
    }
    return json.dumps(content, ensure_ascii=False, allow_nan=False)


def show(result: Result) -> None:
    """Print the table of the searches and the worst queries with their texts."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    task = result.task

    def say(text: str, style: str = "") -> None:
        console.print(text, style=style, markup=False, soft_wrap=True)

    say(f"model:    {result.model}")
    if result.baseline is not None:
        say(f"baseline: {result.baseline}")
    what = "labelled passages reranked" if task.mode == "rerank" else "retrieved and reranked"
    say(f"{task.dataset.name}: {len(task.queries):,} test queries, {what}; {result.metric}\n")
    console.print(_table(result.rows))
    if any(row.difference for row in result.rows):
        say(
            "95% intervals: bootstrap over queries; p: paired randomisation test, of each row",
            "dim",
        )
        say("gain: (model - baseline) / baseline", "dim")
    if result.worst:
        worst = f"{len(result.worst)} worst queries" if len(result.worst) > 1 else "worst query"
        say(f"\nthe {worst} ({result.search})", "bold")
    for number, case in enumerate(result.worst, start=1):
        before = "" if case.baseline is None else f", baseline {case.baseline:.3f}"
        rank = "not shown" if case.relevant_rank is None else f"rank {case.relevant_rank}"
        say(f"{number:2}. {case.value:.3f}{before}  {_short(case.query)}  [{case.query_id}]")
        say(f"    relevant, {rank}: {_short(case.relevant)}", "green")
        if case.ranked_first_id != case.relevant_id:
            say(f"    ranked first: {_short(case.ranked_first)}", "red")


def _table(rows: Sequence[Row]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    columns = {"": [row.search for row in rows]}
    if any(row.alone is not None for row in rows):
        columns |= {"no reranking": [_number(row.alone) for row in rows]}
    if any(row.baseline is not None for row in rows):
        columns |= {"baseline": [_number(row.baseline) for row in rows]}
    columns |= {"model": [_number(row.model) for row in rows]}
    columns |= {"95%": [f"{row.low:.4f}..{row.high:.4f}" for row in rows]}
    compared = [(row, row.difference) for row in rows if row.difference is not None]
    if compared:
        columns |= {
            "difference": [f"{d.mean:+.4f}" for _, d in compared],
            "95% ": [f"{d.low:+.4f}..{d.high:+.4f}" for _, d in compared],
            "gain": [f"{row.gain:+.1%}" for row, _ in compared],
            "p": [f"{d.p_value:.4f}" for _, d in compared],
            "wins/ties/losses": [f"{row.wins}/{row.ties}/{row.losses}" for row, _ in compared],
        }
    for name in columns:
        table.add_column(name, justify="left" if not name else "right", no_wrap=True)
    for cells in zip(*columns.values(), strict=True):
        table.add_row(*cells)
    return table


def _row(row: Row) -> dict[str, object]:
    return {
        "no_reranking": row.alone,
        "baseline": row.baseline,
        "model": row.model,
        "model_interval": [row.low, row.high],
        "difference": None if row.difference is None else asdict(row.difference),
        "gain": _finite(row.gain),
        "wins": row.wins,
        "ties": row.ties,
        "losses": row.losses,
    }


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _short(text: str) -> str:
    return shorten(text, TEXT, placeholder="…")
