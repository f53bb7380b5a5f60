"""The published figures on GooAQ, beside those of the same points here.

The numbers lie in ``published/``: hit rates in percent of 2,000 queries, latencies as means in
milliseconds (GPU: an NVIDIA L4).
"""

import csv
from collections.abc import Iterable
from importlib.resources import files
from math import nan

from pipeline.records import SEARCHES
from pipeline.report.comparison import Comparison
from pipeline.report.format import number
from pipeline.report.points import Point

DATASET = "gooaq"


def rows(name: str) -> list[dict[str, str]]:
    """The published table ``quality`` or ``latency``."""
    text = files("pipeline.report").joinpath(f"published/{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def quality(comparison: Comparison) -> list[list[str]]:
    """Group, name, cutoff; then for every search the published hit rate and ours, in percent."""
    shown = []
    for row in rows("quality"):
        point = next((run for run in comparison.runs if _same(run, row)), None)
        figures = []
        for mode in SEARCHES:
            stage = mode if row["arch"] == "none" else f"{mode}_reranked"
            metric = f"{stage}/hit_rate_at_{row['k']}"
            ours = point.metrics.get(metric, nan) if point else nan
            figures += [row[f"{mode}_hit_rate"] or "-", number(100 * ours, ".2f")]
        shown.append([row["group"], row["name"], row["k"], *figures])
    return shown


def latency(comparison: Comparison) -> list[list[str]]:
    """Device, reranker, passages, the published mean and ours on that kind of device."""
    shown = []
    for row in rows("latency"):
        arch, _, base = row["reranker"].partition(" ")
        arch, base = ("none", "") if row["reranker"] == "no reranker" else (arch, base)
        ours = nan
        for run in _on(comparison.runs, row["device"]):
            if run.tags.get("arch") == arch and (not base or _base(run) == base):
                ours = run.metrics.get(f"latency/vector_{row['limit']}/total_mean_ms", nan)
                break
        shown.append(
            [
                row["device"],
                row["reranker"],
                row["limit"] or "-",
                row["mean_ms"],
                number(ours, ".2f"),
            ]
        )
    return shown


def _same(run: Point, row: dict[str, str]) -> bool:
    if row["arch"] == "none":
        return run.group == "none"
    ours = run.tags.get("arch"), _base(run), run.params.get("negatives"), run.params.get("epochs")
    return ours == (row["arch"], row["base"], row["negatives"], row["epochs"])


def _base(run: Point) -> str:
    return run.params.get("base.path", "").rpartition("/")[2]


def _on(runs: Iterable[Point], device: str) -> list[Point]:
    kind = "cpu" if device == "cpu" else "cuda"
    return [run for run in runs if run.params.get("machine.device") == kind]
