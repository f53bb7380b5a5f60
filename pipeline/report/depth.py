"""Find how many candidates a point reranks, and which of its latencies belongs to that number."""

import re
from collections.abc import Iterable, Sequence
from math import inf

from pipeline.report.points import Point
from pipeline.tracking.reader import RunRecord


def rerank_depth(run: RunRecord, k: int) -> int | None:
    """Return how many candidates were reranked for the result at ``k``; None if not logged."""
    depth = run.params.get("eval.depth", "null")
    overfetch = run.params.get("eval.overfetch", "")
    if depth.isdecimal():
        return int(depth)
    return int(overfetch) * k if overfetch.isdecimal() else None


def timed_depth(run: RunRecord, k: int) -> int | None:
    """Return how many passages are reranked in the latency of a run; None if it was not timed.

    That is the smallest number timed that is at least what the result at ``k`` takes, else the
    largest.
    """
    matches = (re.fullmatch(r"latency/vector_(\d+)/total_p50_ms", name) for name in run.metrics)
    timed = sorted({int(match[1]) for match in matches if match})
    depth = rerank_depth(run, k) or inf
    return next((number for number in timed if number >= depth), timed[-1] if timed else None)


def with_depth(names: list[str], points: Sequence[Point], k: int) -> list[str]:
    """Name the depth of the points that rerank another number of candidates than most."""
    depths = [None if point.group == "none" else rerank_depth(point, k) for point in points]
    if len(known(depths)) < 2:
        return names
    usual = max(known(depths), key=depths.count)  # the smallest of several
    return [
        f"{name}, depth {depth}" if depth and depth != usual and "eval.depth=" not in name else name
        for name, depth in zip(names, depths, strict=True)
    ]


def known(numbers: Iterable[int | None]) -> list[int]:
    """Return the different numbers, ascending."""
    return sorted({number for number in numbers if number})
