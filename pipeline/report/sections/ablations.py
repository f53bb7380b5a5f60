"""What one axis of the grid does while the others are held fixed."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan

import numpy as np

from pipeline.evaluation.significance import intervals
from pipeline.report.comparison import Comparison, natural
from pipeline.report.points import Point, identity
from pipeline.report.uncertainty import COLUMNS

# Each axis with the parameters that may change with it: they follow from it, or are tuned for it.
TUNED = ("train.learning_rate", "train.batch_size")
AXES = {
    "arch": ("arch.", *TUNED),
    "base": ("base.",),
    "negatives": ("negatives",),
    "epochs": ("epochs",),
}
COMPUTE = ("negatives", "epochs")
"""The axes along which the number of steps or pairs grows, so that it must be seen too."""


@dataclass(frozen=True)
class Measured:
    """One point in a series, NaN where something was not logged."""

    level: str  # of the axis
    label: str
    value: float
    low: float  # 95% interval of the value, bootstrap over queries
    high: float
    steps: float
    pairs: float


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


def ablations(comparison: Comparison) -> tuple[str, list[Ablation]]:
    """The column that is shown and the axes along which something can be compared.

    The column is the first of COLUMNS with figures, the reranker's order of vector search.
    """
    quality = comparison.qualities[0]
    for column in COLUMNS:
        shown = [
            i
            for i, row in enumerate(quality.rows)
            if comparison.runs[i].group != "none" and not isnan(row[column].value)
        ]
        if shown:
            break
    else:
        return "", []
    measured = _intervals(comparison, shown, column)
    found = [_ablation(comparison, axis, shown, column, measured) for axis in AXES]
    return column, [ablation for ablation in found if ablation.series]


def _intervals(
    comparison: Comparison, shown: Sequence[int], column: str
) -> dict[int, tuple[float, float]]:
    metric = comparison.qualities[0].metric
    columns = {i: comparison.runs[i].values.of(column, metric) for i in shown}
    there = {i: values for i, values in columns.items() if values is not None}
    if len({len(values) for values in there.values()}) != 1:
        return {}
    ends = zip(*intervals(np.column_stack(list(there.values()))), strict=True)
    return dict(zip(there, ends, strict=True))


def _ablation(
    comparison: Comparison,
    axis: str,
    shown: Sequence[int],
    column: str,
    measured: dict[int, tuple[float, float]],
) -> Ablation:
    families: dict[object, list[int]] = {}
    for i in shown:
        families.setdefault(_fixed(comparison.runs[i], axis), []).append(i)
    series = []
    for members in families.values():
        ordered = sorted(members, key=lambda i: natural(_level(comparison.runs[i], axis)))
        if len({_level(comparison.runs[i], axis) for i in ordered}) < 2:
            continue
        points = [
            Measured(
                _level(comparison.runs[i], axis),
                comparison.labels[i],
                comparison.qualities[0].rows[i][column].value,
                *measured.get(i, (nan, nan)),
                comparison.runs[i].metrics.get("train/steps", nan),
                comparison.runs[i].metrics.get("train/pairs_seen", nan),
            )
            for i in ordered
        ]
        params = [comparison.runs[i].params for i in ordered]
        tuned = [n for n in TUNED if n in AXES[axis] and len({p.get(n) for p in params}) > 1]
        series.append(Series(_describe(comparison.runs[ordered[0]], axis), points, tuned))
    levels = sorted({p.level for s in series for p in s.points}, key=natural)
    return Ablation(axis, levels, series)


def _level(point: Point, axis: str) -> str:
    return point.params.get(axis) or point.tags.get(axis, "")


def _fixed(point: Point, axis: str) -> object:
    """Everything that must agree: the other axes, and the configuration but for the axis."""
    others = [_level(point, other) for other in AXES if other != axis]
    left_out = (*AXES[axis], "run_name")
    rest = frozenset(item for item in identity(point) if not item[0].startswith(left_out))
    return *others, rest


def _describe(point: Point, axis: str) -> str:
    units = {"negatives": " neg", "epochs": " ep"}
    levels = {other: _level(point, other) for other in AXES if other != axis}
    return ", ".join(f"{level}{units.get(other, '')}" for other, level in levels.items() if level)
