"""Section "Cost": what every run took, and the runs that did not finish."""

from collections.abc import Iterable, Mapping, Sequence
from math import fsum, isnan

from pipeline.report.blocks import Section, Table
from pipeline.report.comparison import Comparison, natural
from pipeline.report.format import MISSING, duration, number
from pipeline.report.labels import run_label
from pipeline.report.points import Point, model_of
from pipeline.report.study import Study
from pipeline.tracking.reader import RunRecord

STEPS = {
    "index": ("dataset", "index", "candidates"),
    "mine": ("negatives",),
    "train": ("train",),
    "score": ("score",),
    "latency": ("latency",),
    "record": ("record",),
    "rest": ("base", "audit", "evaluate", "estimate", "rest"),
}
"""Column of the table of times -> the steps of the recipe that it adds up."""


def section(study: Study) -> Section:
    """Show the cost of every run, the sum, and why runs did not finish."""
    comparison, sweep = study.comparison, study.sweep
    texts, tables = [], []
    if comparison.points:
        models = {model_of(point): point for point in reversed(comparison.points)}
        train = _total(models.values(), "train")
        score = _total(comparison.points, "eval") + _total(comparison.points, "vectors")
        texts.append(f"Training all models took {duration(train)}, scoring {duration(score)}.")
        tables.append(_table(comparison))
    if sweep is not None and "sweep/seconds" in sweep.metrics:
        took = f"The sweep took {duration(sweep.metrics['sweep/seconds'])}"
        estimate = sweep.metrics.get("sweep/estimated_seconds")
        texts.append(f"{took}, estimated {duration(estimate)}." if estimate else f"{took}.")
    if spent := times(study):
        tables.append(spent)
    ended = unfinished(comparison)
    if ended:
        rows = [[run.status, run.name, reason] for run, reason in ended]
        tables.append(Table("Not finished", ["status", "run", "reason"], rows, names=3))
    else:
        texts.append("Every run finished.")
    return Section("Cost", [*texts, *tables])


def unfinished(comparison: Comparison) -> list[tuple[RunRecord, str]]:
    """Return the runs that failed, were interrupted, run or were not started, with the reason."""
    found = []
    for run in sorted(comparison.unfinished, key=lambda run: natural(run.name)):
        reason = " ".join(run.tags.get("failure", "no reason recorded").split())
        if run.status == "RUNNING":
            reason = f"on {run.tags.get('host', '?')}, pid {run.tags.get('pid', '?')}, or lost"
        found.append((run, reason))
    return found


def times(study: Study) -> Table | None:
    """Show the wall time of every step, by run and in all; None if none was logged.

    A step whose result was in the cache took only as long as reading it. Points that run side by
    side add up to more than the sweep took.
    """
    runs = [(n, r.metrics) for n, r in _named_runs(study.comparison) if "seconds/rest" in r.metrics]
    if not runs:
        return None
    sweep = study.sweep.metrics if study.sweep else {}
    if "seconds/dataset" in sweep:
        runs.insert(0, ("shared by the points", sweep))
    spent = [[_seconds(metrics, column) for column in STEPS] for _, metrics in runs]
    sums = [fsum(column) for column in zip(*spent, strict=True)]
    rows = [_row(name, seconds) for (name, _), seconds in zip(runs, spent, strict=True)]
    rows.append(_row("all of these", sums))
    blank = [""] * len(STEPS)
    if study.elsewhere:
        rows.append(["points of the other tables", *blank, duration(study.elsewhere)])
    between = sweep.get("sweep/seconds", 0.0) - fsum(sums) - study.elsewhere
    if between > 0:
        rows.append(["rest of the sweep", *blank, duration(between)])
        rows.append(["the sweep", *blank, duration(sweep["sweep/seconds"])])
    return Table("Where the time went (h:mm:ss)", ["run", *STEPS, "total"], rows)


def seconds_of(comparison: Comparison) -> float:
    """Return the seconds that the points of a comparison took, all steps and seeds together."""
    runs = [run.metrics for _, run in _named_runs(comparison)]
    return fsum(_seconds(metrics, column) for metrics in runs for column in STEPS)


def _row(name: str, seconds: Sequence[float]) -> list[str]:
    return [name, *(duration(s) if s else MISSING for s in seconds), duration(fsum(seconds))]


def _table(comparison: Comparison) -> Table:
    rows = []
    for name, run in _named_runs(comparison):
        metrics = run.metrics
        rows.append(
            [
                name,
                duration(metrics.get("train/seconds")),
                number(metrics.get("train/steps"), ",.0f"),
                number(metrics.get("train/pairs_seen"), ",.0f"),
                number(metrics.get("train/pairs_per_s"), ",.1f"),
                number(metrics.get("train/peak_mib"), ",.0f"),
                duration(metrics.get("eval/seconds")),
            ]
        )
    heads = ["run", "training", "steps", "pairs seen", "pairs/s", "peak MiB", "evaluation"]
    return Table("Cost of every run (times as h:mm:ss)", heads, rows)


def _named_runs(comparison: Comparison) -> list[tuple[str, RunRecord]]:
    """Return every finished run with the label of its point, and its seed if there are several."""
    named = []
    for label, point in zip(comparison.labels, comparison.points, strict=True):
        for run in point.runs:
            named.append((run_label(label, point, run), run))
    return named


def _seconds(metrics: Mapping[str, float], column: str) -> float:
    """Return the seconds of a column's steps."""
    return fsum(metrics.get(f"seconds/{step}", 0.0) for step in STEPS[column])


def _total(points: Iterable[Point], part: str) -> float:
    """Return the seconds of all runs in ``train``, ``eval`` or ``vectors``."""
    runs = [run for point in points for run in point.runs]
    seconds = [run.metrics.get(f"{part}/seconds", 0.0) for run in runs]
    return fsum(second for second in seconds if not isnan(second))
