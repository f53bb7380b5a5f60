"""Section "Beside the published figures": those on GooAQ, and the same points here.

The numbers are in ``published/``: hit rates in percent of 2,000 queries, latencies as means in
milliseconds (GPU: an NVIDIA L4).
"""

import csv
from importlib.resources import files
from math import nan

from pipeline.records import SEARCHES
from pipeline.report.blocks import Section, Table
from pipeline.report.comparison import Comparison
from pipeline.report.format import MISSING, SEARCH_NAMES, number
from pipeline.report.points import Point
from pipeline.report.study import Study
from pipeline.report.timed_on import timed_on

DATASET = "gooaq"


def section(study: Study) -> Section | None:
    """Show the published tables beside the same points; only for points on GooAQ."""
    comparison = study.comparison
    if not any(point.tags.get("dataset") == DATASET for point in comparison.points):
        return None
    text = (
        "Hit rates in percent of 2,000 queries, as published, and of the same point here "
        "(architecture, base, negatives, epochs); a dash where there is none. At 60% a 95% "
        "interval is about 2.1 points wide on each side. Published latencies are means, on GPU "
        "of an NVIDIA L4."
    )
    columns = [head for search in SEARCHES for head in (SEARCH_NAMES[search], "here")]
    heads = ["group", "name", "k", *columns]
    hit_rates = Table("Published hit rates", heads, quality(comparison), names=2)
    heads = ["device", "reranker", "passages", "published ms", "ms here"]
    times = Table("Published latencies", heads, latency(comparison), names=2)
    return Section("Beside the published figures", [text, hit_rates, times])


def rows(name: str) -> list[dict[str, str]]:
    """Return the published table ``quality`` or ``latency``."""
    text = files("pipeline.report").joinpath(f"published/{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def quality(comparison: Comparison) -> list[list[str]]:
    """Group, name, cutoff; then for every search the published hit rate and ours, in percent."""
    shown = []
    for row in rows("quality"):
        point = next((point for point in comparison.points if _same(point, row)), None)
        figures = []
        for search in SEARCHES:
            column = search if row["arch"] == "none" else f"{search}_reranked"
            metric = f"{column}/hit_rate_at_{row['k']}"
            ours = point.metrics.get(metric, nan) if point else nan
            figures += [row[f"{search}_hit_rate"] or MISSING, number(100 * ours, ".2f")]
        shown.append([row["group"], row["name"], row["k"], *figures])
    return shown


def latency(comparison: Comparison) -> list[list[str]]:
    """Device, reranker, passages, the published mean and ours on that kind of device."""
    shown = []
    for row in rows("latency"):
        arch, _, base = row["reranker"].partition(" ")
        if row["reranker"] == "no reranker":
            arch, base = "none", ""
        kind = "cpu" if row["device"] == "cpu" else "cuda"
        same = (
            point
            for point in comparison.points
            if timed_on(point).device == kind
            and point.tags.get("arch") == arch
            and base in ("", _base(point))
        )
        point = next(same, None)
        name = f"latency/vector_{row['limit']}/total_mean_ms"
        ours = number(point.metrics.get(name) if point else None, ".2f")
        limit = row["limit"] or MISSING
        shown.append([row["device"], row["reranker"], limit, row["mean_ms"], ours])
    return shown


def _same(point: Point, row: dict[str, str]) -> bool:
    if row["arch"] == "none":
        return point.group == "none"
    params = point.params
    ours = point.tags.get("arch"), _base(point), params.get("negatives"), params.get("epochs")
    return ours == (row["arch"], row["base"], row["negatives"], row["epochs"])


def _base(point: Point) -> str:
    return point.params.get("base.path", "").rpartition("/")[2]
