"""Section "Other forms of the same model": what stored vectors and other engines lose and save."""

import re
from collections.abc import Sequence

from pipeline.records import SEARCHES
from pipeline.report.blocks import Section, Table
from pipeline.report.comparison import Comparison
from pipeline.report.format import MISSING, SEARCH_NAMES, duration, number, span
from pipeline.report.points import DEPTH, FORM, Column, Point, is_plain, model_of
from pipeline.report.sections.latency import with_interval
from pipeline.report.study import Study
from pipeline.report.uncertainty import mean_intervals

TITLE = "Other forms of the same model"
EXPLAINED = {
    "rerank.vectors": (
        "A ColBERT can encode its passages once and keep the vectors of their tokens (fp16, int8, "
        "binary), so that only the query is encoded when it is asked."
    ),
    "rerank.variant": (
        "OpenVINO computes a cross-encoder, or the queries of a ColBERT with stored vectors, in "
        "place of torch, from the same weights."
    ),
}


def section(study: Study) -> Section | None:
    """Compare each form with the same model by torch that encodes passages for each query."""
    comparison = study.comparison
    families = [f for f in _families(comparison.points) if not all(map(is_plain, f))]
    if not families or not comparison.qualities:
        return None
    points = [point for family in families for point in family]
    texts = [
        text
        for name, text in EXPLAINED.items()
        if any(point.params.get(name, FORM[name]) != FORM[name] for point in points)
    ]
    text = (
        f"The columns of the searches have {comparison.qualities[0].name} of the reranker's order "
        "minus that of the plain form, and the 95% interval of the difference. Reranking takes the "
        "time that it adds to a search, here with 95% intervals; the upper end for p95 needs 72 "
        "queries."
    )
    limit = _limit(comparison.points)
    rows = [row for family in families for row in _rows(comparison, family, limit)]
    heads = ["run", "MB of 1,000 passages", "encoding", *SEARCH_NAMES.values()]
    if limit:
        heads += [*(f"reranking, {p} of {limit}" for p in ("p50", "p95")), "queries timed"]
    return Section(TITLE, [" ".join([*texts, text]), Table(TITLE, heads, rows)])


def _families(points: Sequence[Point]) -> list[list[Point]]:
    """Group the points that are the same trained model and rerank as many candidates."""
    families: dict[object, list[Point]] = {}
    for point in points:
        depth = tuple(point.params.get(name) for name in DEPTH)
        families.setdefault((model_of(point), depth), []).append(point)
    return list(families.values())


def _rows(comparison: Comparison, family: Sequence[Point], limit: int | None) -> list[list[str]]:
    names = dict(zip((p.run_id for p in comparison.points), comparison.labels, strict=True))
    base = next(filter(is_plain, family), None)
    rows = []
    for point in family:
        size = point.metrics.get("vectors/mb_per_1000_passages")
        seconds = point.metrics.get("vectors/encoding_seconds")
        row = [names[point.run_id], number(size, ".1f"), duration(seconds)]
        row += _losses(point, base, comparison.qualities[0].metric)
        if limit:
            timed = f"latency/hybrid_{limit}"
            row += [with_interval(point, f"{timed}/rerank_{p}") for p in ("p50", "p95")]
            row.append(number(point.metrics.get(f"{timed}/queries"), ".0f"))
        rows.append(row)
    return rows


def _losses(point: Point, base: Point | None, metric: str) -> list[str]:
    """Return the differences to ``base`` with their intervals, one per search."""
    if base is None or base is point:
        return [MISSING] * len(SEARCHES)
    differences: dict[str, Column] = {}
    for search in SEARCHES:
        ours, theirs = (p.values.of(f"{search}_reranked", metric) for p in (point, base))
        if ours is not None and theirs is not None and len(ours) == len(theirs):
            differences[search] = ours - theirs
    ends = mean_intervals(differences)
    return [
        f"{differences[search].mean():+.4f} ({span(*ends[search], '+.4f')})"
        if search in differences
        else MISSING
        for search in SEARCHES
    ]


def _limit(points: Sequence[Point]) -> int | None:
    """The most passages for which reranking was timed."""
    names = (
        re.fullmatch(r"latency/hybrid_(\d+)/rerank_p50_ms", m) for p in points for m in p.metrics
    )
    return max((int(match[1]) for match in names if match), default=None)
