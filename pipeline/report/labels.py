"""Name the points of a comparison, so that no two have the same name."""

from collections import Counter
from collections.abc import Sequence

from pipeline.report.points import Point, identity, machine
from pipeline.tracking.reader import RunRecord


def labels(points: Sequence[Point]) -> list[str]:
    """Return the name of every point; equal names get what tells the points apart."""
    names = Counter(point.name for point in points)
    texts = []
    for point in points:
        text = point.name
        if names[point.name] > 1:
            twins = [other for other in points if other.name == point.name]
            text += f" ({_difference(point, twins) or point.run_id[:8]})"
        if len(point.runs) > 1:
            text += f" ({len(point.runs)} seeds)"
        texts.append(text)
    return texts


def run_label(label: str, point: Point, run: RunRecord) -> str:
    """Return the ``label`` of a point for one of its runs: with the seed, if there are several."""
    return f"{label}, seed {run.params.get('seed', '?')}" if len(point.runs) > 1 else label


def _difference(point: Point, twins: Sequence[Point]) -> str:
    """Return ``seed 13``, a machine or ``train.learning_rate=1e-05``.

    Empty if none of these is different for every twin.
    """
    seeds = [tuple(twin.seeds) for twin in twins]
    if point.seeds and len(set(seeds)) == len(twins) and all(seeds):
        return f"seed {' '.join(point.seeds)}"
    machines = [machine(twin) for twin in twins]
    if all(machines) and len(set(machines)) == len(twins):
        return machine(point)
    keys = sorted({key for twin in twins for key, _ in identity(twin)})
    differing = [key for key in keys if len({twin.params.get(key) for twin in twins}) > 1]
    distinct = {tuple(twin.params.get(key) for key in differing) for twin in twins}
    if not differing or len(differing) > 3 or len(distinct) < len(twins):
        return ""
    return ", ".join(f"{key}={point.params.get(key, '-')}" for key in differing)
