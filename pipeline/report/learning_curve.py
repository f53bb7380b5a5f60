"""Say whether more labelled queries are likely to help: the learning curve of every architecture.

A curve holds points that differ in ``train.queries`` only. Its place on the axis is the number of
queries that were really trained on. The gain from labels beyond those at hand can't be measured, so
the last doubling is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, isnan, log2, nan

import numpy as np

from pipeline.report.axes import Measured, ablations
from pipeline.report.comparison import Comparison
from pipeline.report.format import SEARCH_NAMES, span
from pipeline.report.points import Point
from pipeline.report.uncertainty import COLUMNS, mean_intervals

AXIS = "train.queries"
WORTH = 0.01
"""A smaller gain of a doubling, in the unit of the measure, is not taken for a reason to label."""
NEAR = 0.5  # doublings that a step may be longer or shorter than one, to be judged as one
LINE = 3  # last points of a curve that the guess at the next doubling is drawn through


@dataclass(frozen=True)
class Step:
    """What a curve gains from ``start`` to ``end`` labelled queries.

    ``low`` and ``high`` are the 95% interval, paired over the test queries; NaN where the values
    of these are not stored.
    """

    start: int
    end: int
    gain: float
    low: float
    high: float

    @property
    def doublings(self) -> float:
        """Return how often ``start`` doubles until ``end``."""
        return log2(self.end / self.start)


@dataclass(frozen=True)
class Curve:
    """The quality of one column over labelled queries; ``name`` is what its points share."""

    name: str
    column: str
    points: dict[int, Measured]  # labelled queries trained on, rising, two or more
    steps: list[Step]  # from each point to the next
    doubling: Step  # to the last point, from the one that is nearest to half its queries
    unweighted: bool  # both ends of the doubling have the search's own values: nothing was reranked

    @property
    def runs(self) -> tuple[str, ...]:
        """The ids of its points."""
        return tuple(one.point.run_id for one in self.points.values())

    @property
    def next_gain(self) -> float:
        """A guess at the next doubling's gain: a straight line over log2 of the last points."""
        last = list(self.points.items())[-LINE:]
        slope, _ = np.polyfit(
            [log2(queries) for queries, _ in last], [one.value for _, one in last], 1
        )
        return float(slope)


def curves(comparison: Comparison) -> list[Curve]:
    """Return every curve of the first measure, for each column apart.

    A point that asked for more queries than there are trained on all of them. Of several points
    with the same queries the first is kept.
    """
    if len({seen(point) for point in comparison.points} - {0}) < 2:
        return []
    metric = comparison.qualities[0].metric
    found = []
    for column in COLUMNS:
        for ablation in ablations(comparison, column, [AXIS]):
            for series in ablation.series:
                points: dict[int, Measured] = {}
                for one in sorted(series.points, key=lambda one: seen(one.point)):
                    points.setdefault(seen(one.point), one)
                points.pop(0, None)
                if len(points) > 1:
                    found.append(_curve(series.fixed, column, metric, points))
    return found


def seen(point: Point) -> int:
    """Return how many labelled queries a point trained on, 0 if that was not logged."""
    return round(point.metrics.get("train/queries", 0))


def sentences(comparison: Comparison, search: str) -> list[str]:
    """Return one sentence per architecture: what more labels would bring to ``search``.

    The fused order decides, as it would be served. The rule is in docs/method.md.
    """
    found = {(curve.runs, curve.column): curve for curve in curves(comparison)}
    measure = comparison.qualities[0].name if comparison.qualities else ""
    return [
        _sentence(curve, found.get((runs, f"{search}_reranked")), measure)
        for (runs, column), curve in found.items()
        if column == f"{search}_fused" and not isnan(curve.doubling.low)
    ]


def _sentence(fused: Curve, own: Curve | None, measure: str) -> str:
    step, search = fused.doubling, SEARCH_NAMES[COLUMNS[fused.column]]
    if abs(step.doublings - 1) > NEAR:
        numbers = ",".join(str(ceil(step.end / parts)) for parts in (4, 2, 1))
        return (
            f"It can't be told if more labels help ({fused.name}): no run trained on about half of "
            f"the {step.end:,} labelled queries; take {AXIS}={numbers}."
        )
    where = f"fused with {search} search, {step.start:,} to {step.end:,} labelled queries"
    if fused.unweighted:
        lead = f"It can't be told if more labels help ({fused.name})"
        text = f"{lead}: {where} gave the reranker no weight beside the search"
        if own is not None and not isnan(own.doubling.low):
            gained = f"{own.doubling.gain:+.3f} {measure} ({_interval(own.doubling)})"
            text += f", though its own order, not fused, gained {gained}"
        return f"{text}."
    gained = f"{where} brought {step.gain:+.3f} {measure} ({_interval(step)})"
    if step.low > 0:
        text = f"More labels are likely to help ({fused.name}): {gained}"
        guess = fused.next_gain
        if guess > 0:
            text += f"; another doubling may bring {guess:+.3f}, a guess by a straight line"
        return f"{text}."
    learning = ""
    if own is not None and own.doubling.low > 0:
        learning = (
            f", though its own order, not fused, still learns: {own.doubling.gain:+.3f} "
            f"({_interval(own.doubling)})"
        )
    worth = WORTH * step.doublings
    if step.high < worth:
        why = f"a gain of {WORTH:g} by a doubling is unlikely"
        return f"No sign that more labels help ({fused.name}): {gained}; {why}{learning}."
    queries = len(next(iter(fused.points.values())).point.values.queries)
    # Their interval would be as wide as this, so it could not hold both 0 and this.
    enough = queries * ((step.high - step.low) / worth) ** 2
    why = (
        f"about {100 * ceil(enough / 100):,} would tell a gain of {WORTH:g} by a doubling from none"
    )
    lead = f"Too few test queries to tell if more labels help ({fused.name})"
    return f"{lead}: {gained}; {why}{learning}."


def _interval(step: Step) -> str:
    return f"95% interval {span(step.low, step.high, '+.3f')}"


def _curve(name: str, column: str, metric: str, points: dict[int, Measured]) -> Curve:
    *earlier, end = points
    half = min(earlier, key=lambda queries: abs(log2(end / queries) - 1))
    pairs = [*pairwise(points), (half, end)]
    *steps, doubling = _steps(points, pairs, column, metric)
    unweighted = all(_is_the_search(points[end].point, column, metric) for end in (half, end))
    return Curve(name, column, points, steps, doubling, unweighted)


def _is_the_search(point: Point, column: str, metric: str) -> bool:
    """Return whether every query has the value of the search alone."""
    values, base = (point.values.of(name, metric) for name in (column, COLUMNS[column]))
    return values is not None and base is not None and np.array_equal(values, base)


def _steps(
    points: dict[int, Measured], pairs: Sequence[tuple[int, int]], column: str, metric: str
) -> list[Step]:
    differences = {}
    for pair in pairs:
        before, after = (points[queries].point.values for queries in pair)
        base, values = before.of(column, metric), after.of(column, metric)
        if base is not None and values is not None and before.queries == after.queries:
            differences[pair] = values - base
    ends = mean_intervals(differences)
    return [
        Step(start, end, points[end].value - points[start].value, *ends.get(pair, (nan, nan)))
        for pair in pairs
        for start, end in [pair]
    ]
