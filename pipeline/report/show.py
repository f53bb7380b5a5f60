"""A sweep from the tracking store, shown: on the terminal, as HTML, markdown and CSV."""

import logging
from pathlib import Path

from rich.console import Console

from pipeline import tracking
from pipeline.config import ReportConfig, TrackingConfig
from pipeline.report.comparison import by_dataset, compare
from pipeline.report.queries import Stored
from pipeline.report.table import markdown, print_tables, write_csv

log = logging.getLogger(__name__)


def show(
    config: TrackingConfig, report: ReportConfig, parent_run_id: str, output: Path
) -> list[Path]:
    """Print the comparison of a sweep and write it to ``output``/report.

    Runs on different data sets are compared apart, in the same files. Returns the files
    report.html, report.md and report.csv.

    Raises:
        InputError: the tracking store can't be read or has no such sweep.
    """
    from pipeline.report.page import html  # plotly, which --help and a failure do without

    runs = tracking.read_runs(config, parent_run_id)
    runs += tracking.read_skipped(config, parent_run_id)
    comparisons = [
        compare(part, lambda run_id: tracking.read_per_query(config, run_id), report.baseline)
        for part in by_dataset(runs)
    ]
    if report.baseline and not any(comparison.baseline for comparison in comparisons):
        log.warning("report.baseline=%s: no finished run of the sweep", report.baseline)
    console = Console(highlight=False)
    for comparison in comparisons:
        print_tables(comparison, console)
    stored = Stored(
        ranking=lambda run, stage, k: tracking.read_ranking(config, run.run_id, stage, k),
        relevant=lambda run: tracking.read_relevant(config, run.run_id),
        texts=lambda run: tracking.read_texts(config, run.run_id),
    )
    sweep = tracking.read_run(config, parent_run_id)
    page = html(comparisons, stored, report.latency_budget_ms, sweep)
    folder = output / "report"
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / name for name in ("report.html", "report.md", "report.csv")]
    files[0].write_text(page, encoding="utf-8")
    files[1].write_text("\n".join(map(markdown, comparisons)), encoding="utf-8")
    write_csv(files[2], comparisons)
    for file in files:
        console.print(str(file), markup=False, soft_wrap=True)
    return files
