"""Group runs into points of the grid: several seeds of one point are one row.

A point has the mean of its runs' metrics and, query by query, the mean of their values, so that an
interval or a test over queries sees the same number of queries as for one run. The spread is what
the runs differ by. Per-query values are read one run at a time, and only what is compared is kept,
as arrays. Means are those of the per-query values, as logged ones are rounded.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.metrics import PerQuery, means
from pipeline.records import SEARCHES, START_KEPT
from pipeline.report.timed_on import timed_on
from pipeline.tracking.artifacts import FACTS, TRAINED
from pipeline.tracking.reader import RunRecord

MEASURES = {"ndcg": "NDCG", "hit_rate": "Hit rate"}
"""The measures of the tables, each with its name in them; the first one decides."""

COMPARED = re.compile(rf"({'|'.join(MEASURES)})_at_\d+")
# Runs of one point may differ in these. Precision is not among them: it changes scores.
MACHINE = ("machine.device", "machine.name", "machine.threads")
INCIDENTAL = (
    *MACHINE,
    "hardware.device",
    "hardware.threads",
    "seed",
    "grid",
    "output_dir",
    "cache_uri",
    "tracking.",
    "report.",
    "git.",
    "version.",
    "lock.",
)
FORM = {"rerank.vectors": "none", "rerank.token_pooling": "1", "rerank.variant": "torch"}
"""The parameters that say in which form a trained model is served, with the plain form's values."""

"""The tag ``initialisation`` of a run whose training made its start worse and was undone."""

DEPTH = ("eval.depth", "eval.overfetch")
"""The parameters that say how many candidates are reranked."""

Column = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Values:
    """The values of every query, as arrays in the order of ``queries``.

    A key of ``arrays`` is a search or a column, such as ``vector`` or ``vector_reranked``, and a
    metric, such as ``ndcg_at_10``. ``trained`` says of every query whether a relevant passage of
    it is relevant to a training query too; None if that was not logged.
    """

    queries: tuple[str, ...]
    arrays: dict[tuple[str, str], Column]
    trained: Flags | None = None

    def of(self, column: str, metric: str) -> Column | None:
        """Return the values of one metric, None if the run has none."""
        return self.arrays.get((column, metric))


@dataclass(frozen=True)
class Point(RunRecord):
    """The finished runs of one point; ``metrics`` are means over them, the rest is the first's."""

    runs: tuple[RunRecord, ...]
    values: Values

    def spread(self, metric: str) -> float:
        """Return the standard deviation of a metric over the seeds; NaN below two of them."""
        found = [run.metrics[metric] for run in self.runs if metric in run.metrics]
        return float(np.std(found, ddof=1)) if len(found) > 1 else nan

    @property
    def seeds(self) -> list[str]:
        """The seeds as logged, empty if they were not."""
        return [run.params["seed"] for run in self.runs if "seed" in run.params]

    @property
    def group(self) -> str:
        """The tag ``initialisation``, such as ``scratch``.

        ``start_kept`` only if the training was undone with every seed.
        """
        found = {run.tags.get("initialisation", "?") for run in self.runs}
        return min(found - {START_KEPT}, default=START_KEPT)


def pool(
    runs: Sequence[RunRecord], read_per_query: Callable[[str], dict[str, PerQuery]]
) -> list[Point]:
    """Group ``runs`` into points, in the order of their first run.

    Runs are one point if they agree in name, initialisation and configuration, apart from the seed
    and the machine. A seed whose training was undone counts like the others. A repetition with the
    same seed is a point of its own, as it says nothing about the spread. ``read_per_query`` is
    called once per run, with its id.
    """
    members: dict[tuple[object, ...], list[RunRecord]] = {}
    for run in runs:
        key: tuple[object, ...] = (run.name, _start_of(run), identity(run))
        seed = run.params.get("seed")
        if any(other.params.get("seed") == seed for other in members.get(key, [])):
            key = (*key, run.run_id)
        members.setdefault(key, []).append(run)
    return [_point(same, read_per_query) for same in members.values()]


def _start_of(run: RunRecord) -> str | None:
    """Return what the run started as, whatever became of its training."""
    tag = run.tags.get("initialisation")
    return "finetuned" if tag == START_KEPT else tag


def identity(run: RunRecord) -> frozenset[tuple[str, str]]:
    """Return the parameters that make a run the point it is, without the seed and the machine."""
    return frozenset(item for item in run.params.items() if not item[0].startswith(INCIDENTAL))


def model_of(point: Point) -> object:
    """Return what points of one trained model have in common, in any ``FORM`` and at any depth.

    A model is also the same however it is timed.
    """
    left_out = (*FORM, *DEPTH, "run_name", "latency.")
    return point.group, frozenset(i for i in identity(point) if not i[0].startswith(left_out))


def is_plain(point: Point) -> bool:
    """Return whether the model is served as it was trained: by torch, with no vectors stored."""
    return all(point.params.get(name, plain) == plain for name, plain in FORM.items())


def cutoffs(run: RunRecord) -> set[int]:
    """Return the cutoffs at which a search of the run was measured."""
    names = (re.fullmatch(rf"(?:{'|'.join(SEARCHES)})/ndcg_at_(\d+)", m) for m in run.metrics)
    return {int(found[1]) for found in names if found}


def exact_means(per_column: Mapping[str, PerQuery]) -> dict[str, float]:
    """Return ``COLUMN/METRIC`` -> the mean over the queries, of which a run logs four decimals."""
    return {
        f"{column}/{metric}": value
        for column, per_query in per_column.items()
        if column != FACTS
        for metric, value in means(per_query).items()
    }


def machine(run: RunRecord) -> str:
    """Return the name of the GPU or CPU, empty if it was not logged."""
    return run.params.get("machine.name", "") or run.params.get("machine.device", "")


def _point(
    runs: Sequence[RunRecord], read_per_query: Callable[[str], dict[str, PerQuery]]
) -> Point:
    exact, values = [], []
    for run in runs:
        per_column = read_per_query(run.run_id)
        exact.append(replace(run, metrics=run.metrics | exact_means(per_column)))
        values.append(_values(per_column))
    first = exact[0]
    return Point(
        run_id=first.run_id,
        name=first.name,
        status=first.status,
        tags=first.tags,
        params=first.params,
        metrics=first.metrics if len(exact) == 1 else _mean_metrics(exact),
        runs=tuple(exact),
        values=_mean_values(values),
    )


def _mean_metrics(runs: Sequence[RunRecord]) -> dict[str, float]:
    """Average the metrics that all runs have; latencies only if they are of one machine."""
    shared = [name for name in runs[0].metrics if all(name in run.metrics for run in runs)]
    if len({timed_on(run) for run in runs}) > 1:
        shared = [name for name in shared if not name.startswith("latency/")]
    return {name: fmean(run.metrics[name] for run in runs) for name in shared}


def _values(per_column: dict[str, PerQuery]) -> Values:
    """Keep what is compared: finite values of the queries that the first metric has."""
    queries: tuple[str, ...] = ()
    arrays = {}
    for column, per_query in per_column.items():
        if column == FACTS or column.endswith(("_candidates", "_ideal")):
            continue
        for metric, values in per_query.items():
            if not COMPARED.fullmatch(metric):
                continue
            queries = queries or tuple(sorted(values))
            if values.keys() != set(queries):
                continue
            array = np.array([values[query] for query in queries])
            if np.isfinite(array).all():
                arrays[column, metric] = array
    facts = per_column.get(FACTS, {}).get(TRAINED, {})
    known = facts.keys() == set(queries)
    trained = np.array([facts[query] > 0 for query in queries]) if known and queries else None
    return Values(queries, arrays, trained)


def _mean_values(runs: Sequence[Values]) -> Values:
    """Average the runs that have the queries of the first one."""
    same = [run for run in runs if run.queries == runs[0].queries]
    if len(same) == 1:
        return same[0]
    shared = [key for key in same[0].arrays if all(key in run.arrays for run in same)]
    means = {key: np.mean([run.arrays[key] for run in same], axis=0) for key in shared}
    return Values(same[0].queries, means, same[0].trained)
