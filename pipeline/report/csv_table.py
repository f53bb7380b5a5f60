"""Write a comparison as CSV: every point with every metric in full precision."""

import csv
from collections.abc import Sequence
from math import isnan
from pathlib import Path

from pipeline.records import SEARCHES
from pipeline.report.comparison import Comparison, natural
from pipeline.tracking.reader import RunRecord

CONFIG_COLUMNS = ("negatives", "epochs", "seed")
METRICS = (*SEARCHES, "latency/", "train/", "eval/")  # beginnings of the names


def write_csv(path: Path, comparisons: Sequence[Comparison]) -> None:
    """Write one row per point, finished ones first.

    ``table`` names the comparison that the tests and intervals of a row belong to. Seeds that were
    pooled have their run ids and seeds in one cell, and the metrics are means. Every metric that is
    compared has these columns:

    - ``gain NAME``: a share of the search alone
    - ``low NAME`` and ``high NAME``: the 95% interval of the gain
    - ``chosen low NAME`` and ``chosen high NAME``: the same, also for a point chosen by its value
    - ``p NAME`` and, with a baseline, ``p baseline NAME``: corrected over the table
    - ``to best low NAME`` and ``to best high NAME``: the 95% interval of the difference to the best
      of the column; empty for the best
    """
    rows: list[dict[str, str]] = []
    for comparison in comparisons:
        before = len(rows)
        for i, point in enumerate(comparison.points):
            rows.append(_about(point, point.runs) | _tested(comparison, i))
        rows += [_about(run, [run]) for run in comparison.unfinished]
        for row in rows[before:]:
            row["table"] = comparison.title
    about = ["table", "run", "run_id", "status", "group", "dataset", "arch", "base"]
    about += [*CONFIG_COLUMNS, "failure"]
    names = dict.fromkeys(name for row in rows for name in row if name not in about)
    tested = [name for name in names if " " in name]
    metrics = sorted((name for name in names if " " not in name), key=natural)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*about, *metrics, *tested], "", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _about(run: RunRecord, members: Sequence[RunRecord]) -> dict[str, str]:
    """Return what was logged of a point, which pools ``members``, or of an unfinished run."""
    row = {
        "run": run.name,
        "run_id": " ".join(member.run_id for member in members),
        "status": run.status,
        "group": run.tags.get("initialisation", "?"),
        "dataset": run.tags.get("dataset", ""),
        "arch": run.tags.get("arch", ""),
        "base": run.tags.get("base", ""),
        "failure": run.tags.get("failure", ""),
    }
    row |= {name: run.params.get(name, "") for name in CONFIG_COLUMNS}
    row["seed"] = " ".join(member.params.get("seed", "") for member in members)
    for name, value in run.metrics.items():
        if name.startswith(METRICS):
            row[name] = _full(value)
    return row


def _tested(comparison: Comparison, i: int) -> dict[str, str]:
    row = {}
    for quality in comparison.qualities:
        for column, cell in quality.rows[i].items():
            name = f"{column}/{quality.metric}"
            row[f"gain {name}"] = _full(cell.relative)
            row[f"low {name}"] = _full(cell.low)
            row[f"high {name}"] = _full(cell.high)
            row[f"chosen low {name}"], row[f"chosen high {name}"] = map(_full, cell.chosen)
            row[f"p {name}"] = _full(cell.p_value)
            if comparison.baseline is not None:
                row[f"p baseline {name}"] = _full(cell.p_baseline)
            row[f"to best low {name}"], row[f"to best high {name}"] = map(_full, cell.to_best)
    return row


def _full(value: float) -> str:
    return "" if isnan(value) else repr(value)
