"""Compare runs from the tracking store: on the terminal, as HTML, markdown and CSV."""

import logging
from collections.abc import Sequence
from math import fsum
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from pipeline.config.stages import ReportConfig, TrackingConfig
from pipeline.report.comparison import by_search, compare
from pipeline.report.csv_table import write_csv
from pipeline.report.sections.cost import seconds_of, times
from pipeline.report.study import Stored, Study
from pipeline.report.terminal import print_table, print_tables
from pipeline.tracking import artifacts, reader
from pipeline.tracking.reader import RunRecord

if TYPE_CHECKING:
    from pipeline.report.document import Document

log = logging.getLogger(__name__)


def show(
    config: TrackingConfig, report: ReportConfig, parent_run_id: str, output: Path
) -> list[Path]:
    """Show the points of a sweep, also those that have not finished; see ``show_runs``.

    Raises:
        InputError: the tracking store can't be read or has no such sweep.
    """
    sweep = reader.read_run(config, parent_run_id)
    runs = reader.read_runs(config, parent_run_id)
    runs += artifacts.read_skipped(config, sweep, runs)
    return show_runs(config, report, runs, output, sweep)


def show_runs(
    config: TrackingConfig,
    report: ReportConfig,
    runs: Sequence[RunRecord],
    output: Path,
    sweep: RunRecord | None = None,
) -> list[Path]:
    """Print the comparison of ``runs`` and write it to ``output``/report.

    Runs on different data sets, or that were searched differently, are compared apart, in the
    same files. ``sweep`` is the parent run, if they are the points of a sweep. Returns the
    files report.html, report.md and report.csv. Without runs nothing is written, so that an
    earlier report remains.

    Raises:
        InputError: the tracking store can't be read.
    """
    # plotly takes long to import, and is not needed for --help or an error.
    from pipeline.report.document import document

    if not runs:
        print(f"no run to compare, {output / 'report'} is as it was")
        return []
    comparisons = [
        compare(part, lambda r: artifacts.read_per_query(config, r), report.baseline, title)
        for title, part in by_search(runs).items()
    ]
    if report.baseline and not any(comparison.baseline for comparison in comparisons):
        log.warning("report.baseline=%s: no finished run of that name here", report.baseline)
    stored = Stored(
        ranking=lambda run, column, k: artifacts.read_ranking(config, run.run_id, column, k),
        relevant=lambda run: artifacts.read_relevant(config, run.run_id),
        texts=lambda run: artifacts.read_texts(config, run.run_id),
    )
    seconds = [seconds_of(comparison) for comparison in comparisons]
    budget = report.latency_budget_ms
    documents = [
        document(Study(comparison, stored, budget, f"s{number}", sweep, fsum(seconds) - own))
        for number, (comparison, own) in enumerate(zip(comparisons, seconds, strict=True), start=1)
    ]
    console = Console(highlight=False)
    for one in documents:
        _print(one.study, console)
    files = _write(documents, output / "report")
    for file in files:
        console.print(str(file), markup=False, soft_wrap=True)
    return files


def _print(study: Study, console: Console) -> None:
    """Print the tables, where the time of a sweep went, and the verdict."""
    print_tables(study.comparison, console)
    if study.sweep is not None and (spent := times(study)):
        console.print()
        print_table(spent, console)
        console.print()
    for sentence in study.verdict.sentences:
        console.print(sentence, markup=False, soft_wrap=True)


def _write(documents: Sequence["Document"], folder: Path) -> list[Path]:
    """Write report.html, report.md and report.csv, and return them."""
    from pipeline.report.markdown import markdown
    from pipeline.report.page import html

    folder.mkdir(parents=True, exist_ok=True)
    page, text, table = (folder / name for name in ("report.html", "report.md", "report.csv"))
    page.write_text(html(documents), encoding="utf-8")
    text.write_text("\n".join(map(markdown, documents)), encoding="utf-8")
    write_csv(table, [one.study.comparison for one in documents])
    return [page, text, table]
