"""Say why a trained run ranks far worse than the search, as far as the comparison shows it."""

import json
from collections.abc import Mapping
from math import isnan, nan

from pipeline.records import START_KEPT
from pipeline.report.comparison import Comparison, Quality
from pipeline.report.format import SEARCH_NAMES, listed, span
from pipeline.report.points import Point, identity
from pipeline.report.reads import BY_ARCH
from pipeline.report.uncertainty import COLUMNS, Ends, mean_intervals, order_of

LIMIT = 0.6  # of a search's own quality; a trained run below it needs an explanation
TRAINED = ("scratch", "finetuned", START_KEPT)
# The rates and the batch size of an architecture are only the defaults of those in train.
DEFAULTS = ("arch.learning_rate", "arch.head_learning_rate", "arch.batch_size")


def weak_runs(comparison: Comparison) -> dict[int, str]:
    """Return the position of every weak run, with what the comparison shows of the reasons.

    A run is weak if it was trained and its own order is below LIMIT of a search, by the first
    measure. The two sentences on it say how far below, what it was trained on, and whether a run
    that differs in one setting only is better.
    """
    found = {}
    for quality in comparison.qualities[:1]:
        for i, point in enumerate(comparison.points):
            weak = {column: share for column, share in _shares(quality, i).items() if share < LIMIT}
            if weak and point.group in TRAINED:
                below = f"{comparison.labels[i]} on its own has {_below(quality, weak)}"
                training = _training(point)
                first = f"{below}: {listed(training)}." if training else f"{below}."
                found[i] = f"{first} {_neighbours(comparison, quality, i, next(iter(weak)))}."
    return found


def pointer(comparison: Comparison) -> str:
    """Name the weak runs in one line that refers to the report; "" without any."""
    names = [comparison.labels[i] for i in weak_runs(comparison)]
    if not names:
        return ""
    return f"below {LIMIT:.0%} of a search on its own, report.md says more: {listed(names)}"


def changed_settings(one: Point, other: Point) -> set[str]:
    """Return the settings in which two points differ; all keys of a base are ``base``."""
    keys = {key for key, _ in identity(one) ^ identity(other)} - {"run_name", *DEFAULTS}
    return {"base" if key.startswith("base.") else key for key in keys}


def _shares(quality: Quality, i: int) -> dict[str, float]:
    """Return column -> the point's own order as a share of the search; not where it is unknown."""
    shares = {
        column: 1 + cell.relative
        for column, cell in quality.rows[i].items()
        if order_of(column) == "reranked"
    }
    return {column: share for column, share in shares.items() if not isnan(share)}


def _below(quality: Quality, weak: dict[str, float]) -> str:
    """``59.6% of the NDCG@10 of vector search and 55.2% of hybrid search``."""
    of = f" of the {quality.name}"
    parts = []
    for column, share in weak.items():
        parts.append(f"{share:.1%}{of} of {SEARCH_NAMES[COLUMNS[column]]} search")
        of = ""
    return listed(parts)


def _training(point: Point) -> list[str]:
    """Say what the run was trained on and from what, as far as that was logged."""
    found = []
    steps, pairs = point.metrics.get("train/steps"), point.metrics.get("train/pairs_seen")
    if steps is not None and pairs is not None:
        found.append(
            f"it was trained on {pairs:,.0f} pairs of a query and a passage in {steps:,.0f} steps"
        )
    if point.group == "scratch" and point.tags.get("arch") == "cross_encoder":
        found.append("its scoring layer began with random weights")
    before, after = (point.metrics.get(f"train/dev_{when}") for when in ("before", "after"))
    if before is not None and after is not None:
        undone = ", so it was undone" if point.group == START_KEPT else ""
        found.append(
            f"training took its score on the dev queries from {before:.3f} to {after:.3f}{undone}"
        )
    return found


def _neighbours(comparison: Comparison, quality: Quality, i: int, column: str) -> str:
    """Compare with the best of the runs of the same architecture that differ in one setting."""
    point = comparison.points[i]
    arch = point.tags.get("arch", "")
    near = {
        j: changed
        for j, other in enumerate(comparison.points)
        if other.tags.get("arch", "") == arch
        and not isnan(quality.rows[j][column].value)
        and len(changed := changed_settings(point, other)) == 1
    }
    if not near:
        name = BY_ARCH[arch][0] if arch in BY_ARCH else "run"
        return f"No other {name} here differs from it in one setting only, which could show why"
    best = max(near, key=lambda j: quality.rows[j][column].value)
    other, cell = comparison.points[best], quality.rows[best][column]
    more = cell.value - quality.rows[i][column].value
    low, high = _lead(point, other, column, quality.metric)
    if more <= 0:
        return "No run that differs from it in one setting only is better"
    (setting,) = near[best]
    interval = "" if isnan(low) else f" (95% interval {span(low, high, '.3f')})"
    chance = ", which may be chance" if low <= 0 else ""
    return (
        f"{comparison.labels[best]}, with {_instead(setting, point, other)}, has "
        f"{1 + cell.relative:.1%} of {SEARCH_NAMES[COLUMNS[column]]} search, "
        f"{more:.3f} more{interval}{chance}"
    )


def _instead(setting: str, point: Point, other: Point) -> str:
    """Say what the other run has in place of this one's: ``1 epoch instead of 2``."""
    if setting == "base":
        return _other_base(point.params, other.params)
    ours, theirs = (run.params.get(setting, "null") for run in (point, other))
    if setting in ("negatives", "epochs"):
        unit = setting.removesuffix("s") if theirs == "1" else setting
        return f"{theirs} {unit} instead of {ours}"
    if setting == "train.queries":
        ours, theirs = ("all" if text == "null" else text for text in (ours, theirs))
        return f"{theirs} training queries instead of {ours}"
    return f"{setting}={theirs} instead of {ours}"


def _other_base(ours: Mapping[str, str], theirs: Mapping[str, str]) -> str:
    """Name the other base, or how many layers it keeps of the same model."""
    kept, more = (params.get("base.keep_layers", "") for params in (ours, theirs))
    if ours.get("base.path") == theirs.get("base.path") and kept != more:
        return f"{_count(more)} layers of the base instead of {_count(kept)}"
    return f"base {theirs.get('base.name', '?')} instead of {ours.get('base.name', '?')}"


def _count(layers: str) -> str:
    """Return how many layers a list such as ``[0, 2, 4]`` keeps; without a list it is all."""
    return str(len(json.loads(layers))) if layers.startswith("[") else "all"


def _lead(point: Point, other: Point, column: str, metric: str) -> Ends:
    """Return the 95% interval of the other's lead; NaN where the values per query are missing."""
    ours, theirs = (run.values.of(column, metric) for run in (point, other))
    if ours is None or theirs is None or point.values.queries != other.values.queries:
        return nan, nan
    return mean_intervals({"lead": theirs - ours})["lead"]
