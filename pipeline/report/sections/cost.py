"""Section "Cost": what every run took, and the runs that did not finish."""

from math import fsum, isnan

from pipeline.report.blocks import Section, Table
from pipeline.report.comparison import Comparison, natural
from pipeline.report.format import duration, number
from pipeline.report.study import Study
from pipeline.tracking.reader import RunRecord


def section(study: Study) -> Section:
    """Show the cost of every run, the sum, and why runs did not finish."""
    comparison, sweep = study.comparison, study.sweep
    texts, tables = [], []
    if comparison.points:
        train, evaluation = _total(comparison, "train"), _total(comparison, "eval")
        texts.append(f"All runs: {duration(train)} training, {duration(evaluation)} evaluation.")
        tables.append(_table(comparison))
    if sweep is not None and "sweep/seconds" in sweep.metrics:
        texts.append(f"The sweep took {duration(sweep.metrics['sweep/seconds'])}.")
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


def _table(comparison: Comparison) -> Table:
    rows = []
    for label, point in zip(comparison.labels, comparison.points, strict=True):
        for run in point.runs:
            seed = f", seed {run.params.get('seed', '?')}" if len(point.runs) > 1 else ""
            metrics = run.metrics
            rows.append(
                [
                    f"{label}{seed}",
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


def _total(comparison: Comparison, part: str) -> float:
    """Return the seconds of all runs in ``train`` or ``eval``."""
    runs = [run for point in comparison.points for run in point.runs]
    seconds = [run.metrics.get(f"{part}/seconds", 0.0) for run in runs]
    return fsum(second for second in seconds if not isnan(second))
