"""Find the points that differ along one axis of the grid while the others are held fixed."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan

from pipeline.report.comparison import Comparison, natural
from pipeline.report.points import Point, identity
from pipeline.report.uncertainty import COLUMNS, mean_intervals

# Parameters that may differ between the levels of an axis, because they are tuned for it.
TUNED = ("train.learning_rate", "train.head_learning_rate", "train.batch_size")


@dataclass(frozen=True)
class Axis:
    """One axis of the grid."""

    name: str
    follow: tuple[str, ...]  # beginnings of the parameters that may change with it
    unit: str = ""  # of a level, where another axis is shown
    compute: bool = False  # more of it means more steps or pairs, which must be seen too


AXES = {
    "arch": Axis("Architecture", ("arch.", *TUNED)),
    "base": Axis("Base", ("base.",)),
    "negatives": Axis("Negatives", ("negatives",), unit=" neg", compute=True),
    "epochs": Axis("Epochs", ("epochs",), unit=" ep", compute=True),
    "train.queries": Axis("Labelled queries", ("train.queries",), unit=" queries", compute=True),
}


@dataclass(frozen=True)
class Measured:
    """A point with its quality; NaN where something was not logged."""

    point: Point
    label: str
    value: float
    low: float  # 95% interval of the value, bootstrap over queries
    high: float

    @property
    def steps(self) -> float:
        """Optimiser steps of the training."""
        return self.point.metrics.get("train/steps", nan)

    @property
    def pairs(self) -> float:
        """Pairs of a query and a passage that the training saw."""
        return self.point.metrics.get("train/pairs_seen", nan)

    def level(self, axis: str) -> str:
        """The point's place on the axis, such as ``2`` of negatives; empty where not limited."""
        level = self.point.params.get(axis) or self.point.tags.get(axis, "")
        return "" if level == "null" else level


@dataclass(frozen=True)
class Series:
    """Points that differ in the axis only; ``fixed`` says what they share.

    ``tuned`` are parameters of training that differ as well, each tuned for its level.
    """

    fixed: str
    points: list[Measured]
    tuned: list[str]


@dataclass(frozen=True)
class Ablation:
    """One axis: its levels in order, and every series with two or more of them."""

    axis: str
    levels: list[str]
    series: list[Series]


def ablations(comparison: Comparison, column: str, axes: Sequence[str]) -> list[Ablation]:
    """Return those of ``axes`` along which at least two points differ in nothing else."""
    measured = _measured(comparison, column)
    found = []
    for axis in axes:
        families: dict[object, list[Measured]] = {}
        for one in measured:
            families.setdefault(_fixed(one, axis), []).append(one)
        series = [
            _series(axis, members)
            for members in families.values()
            if len({one.level(axis) for one in members}) > 1
        ]
        if series:
            levels = {one.level(axis) for each in series for one in each.points}
            found.append(Ablation(axis, sorted(levels, key=natural), series))
    return found


def first_column(comparison: Comparison) -> str | None:
    """Return the first column with figures: mostly the reranker's order of vector search."""
    return next((column for column in COLUMNS if _reranked(comparison, column)), None)


def _reranked(comparison: Comparison, column: str) -> list[int]:
    """Return the positions of the points, controls apart, with a figure in ``column``."""
    rows = comparison.qualities[0].rows
    return [
        i
        for i, point in enumerate(comparison.points)
        if point.group != "none" and not isnan(rows[i][column].value)
    ]


def _measured(comparison: Comparison, column: str) -> list[Measured]:
    quality, points = comparison.qualities[0], comparison.points
    shown = _reranked(comparison, column)
    values = {i: points[i].values.of(column, quality.metric) for i in shown}
    ends = mean_intervals({i: array for i, array in values.items() if array is not None})
    measured = []
    for i in shown:
        low, high = ends.get(i, (nan, nan))
        value = quality.rows[i][column].value
        measured.append(Measured(points[i], comparison.labels[i], value, low, high))
    return measured


def _series(axis: str, members: Sequence[Measured]) -> Series:
    ordered = sorted(members, key=lambda one: natural(one.level(axis)))
    tuned = [
        name
        for name in TUNED
        if name in AXES[axis].follow and len({one.point.params.get(name) for one in ordered}) > 1
    ]
    levels = {other: ordered[0].level(other) for other in AXES if other != axis}
    fixed = ", ".join(f"{level}{AXES[other].unit}" for other, level in levels.items() if level)
    return Series(fixed, ordered, tuned)


def _fixed(one: Measured, axis: str) -> object:
    """Return everything that must agree: the other axes, and the rest of the configuration."""
    others = tuple(one.level(other) for other in AXES if other != axis)
    left_out = (*AXES[axis].follow, "run_name")
    rest = frozenset(item for item in identity(one.point) if not item[0].startswith(left_out))
    return others, rest
