"""The last sections of the page: cost, the published figures, and the commands."""

from math import fsum, isnan

from pipeline.records import SEARCHES
from pipeline.report.blocks import Section, Table
from pipeline.report.comparison import Comparison
from pipeline.report.format import SEARCH_NAMES, duration, number
from pipeline.report.sections import published, reproduce
from pipeline.report.terminal import unfinished
from pipeline.tracking.reader import RunRecord


def cost(comparison: Comparison, sweep: RunRecord | None) -> Section:
    """What every run took, the sum, and the runs that did not finish."""
    runs = [run for point in comparison.runs for run in point.runs]
    labels = [
        f"{label}, seed {run.params.get('seed', '?')}" if len(point.runs) > 1 else label
        for label, point in zip(comparison.labels, comparison.runs, strict=True)
        for run in point.runs
    ]
    rows = []
    for label, run in zip(labels, runs, strict=True):
        get = run.metrics.get
        rows.append(
            [
                label,
                duration(get("train/seconds")),
                number(get("train/steps"), ",.0f"),
                number(get("train/pairs_seen"), ",.0f"),
                number(get("train/pairs_per_s"), ",.1f"),
                number(get("train/peak_mib"), ",.0f"),
                duration(get("eval/seconds")),
            ]
        )
    said = []
    if runs:
        train, evaluation = (
            fsum(s for run in runs if not isnan(s := run.metrics.get(f"{part}/seconds", 0.0)))
            for part in ("train", "eval")
        )
        said.append(f"All runs: {duration(train)} training, {duration(evaluation)} evaluation.")
    if sweep is not None and "sweep/seconds" in sweep.metrics:
        said.append(f"The sweep took {duration(sweep.metrics['sweep/seconds'])}.")
    heads = ["run", "training", "steps", "pairs seen", "pairs/s", "peak MiB", "evaluation"]
    tables = [Table("Cost of every run (times as h:mm:ss)", heads, rows)] if rows else []
    ended = [line.partition(": ") for line in unfinished(comparison)]
    if ended:
        reasons = [[*head.split(" ", 1), reason] for head, _, reason in ended]
        tables.append(Table("Not finished", ["status", "run", "reason"], reasons, names=3))
    else:
        said.append("Every run finished.")
    return Section("Cost", said, tables=tables)


def published_figures(comparison: Comparison) -> Section:
    """Beside those of the published study on GooAQ."""
    text = (
        "Hit rates in percent of 2,000 queries, as published, and of the same point here "
        "(architecture, base, negatives, epochs); a dash where there is none. At 60% a 95% "
        "interval is about 2.1 points wide on each side. Published latencies are means, on GPU "
        "of an NVIDIA L4."
    )
    figures_of = [word for mode in SEARCHES for word in (SEARCH_NAMES[mode], "here")]
    quality = Table(
        "Published hit rates", ["group", "name", "k", *figures_of], published.quality(comparison), 2
    )
    heads = ["device", "reranker", "passages", "published ms", "ms here"]
    times = Table("Published latencies", heads, published.latency(comparison), 2)
    return Section("Beside the published figures", [text], tables=[quality, times])


def reproduction(comparison: Comparison) -> Section:
    """The command of every run."""
    commands = []
    for label, point in zip(comparison.labels, comparison.runs, strict=True):
        for run in point.runs:
            command = reproduce.command(run.params)
            commands.append((label, command or "not known: the run logged no configuration"))
    runs = [run for point in comparison.runs for run in point.runs]
    versions = sorted({run.params["git.commit"] for run in runs if "git.commit" in run.params})
    said = ["Each command makes one row again, from the root of a checkout."] if commands else []
    if versions:
        said.append(f"Code: commit {', '.join(version[:12] for version in versions)}.")
    if any(run.params.get("git.dirty") == "True" for run in runs):
        said.append("The checkout had changes that no commit holds.")
    if not commands:
        said.append("No run has finished.")
    return Section("How to reproduce each row", said, commands=commands)
