"""A whole grid: ``python -m pipeline sweep experiment=pydocs``.

``grid`` in the configuration is a list of lines, each a product of overrides; their union is
the grid, so controls are lines like any other. Every point is composed and checked before the
first one starts. The points run through Hydra's launcher (``hydra/launcher=``), as children of
one MLflow run; a point that fails is recorded and the others go on. What an earlier attempt
at the same sweep has finished is not run again (pipeline/resume.py), unless ``force=true``.
"""

import logging
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from filelock import FileLock
from hydra.core.utils import configure_log
from omegaconf import open_dict

from pipeline.config import Config
from pipeline.sweep.grid import Grid

log = logging.getLogger("pipeline")


def run(overrides: Sequence[str]) -> None:
    """Run the grid of ``overrides`` and show the comparison table.

    Raises:
        InputError: a point is not valid and nothing has been run; or what the points share can't
            be made, which the sweep's run has as its failure.
        RuntimeError: some points failed; the others are recorded.
        Refused: another process is running this sweep.
    """
    grid = Grid(overrides)  # before the heavy imports: a mistake is told at once
    from pipeline.experiment.fingerprint import fingerprints
    from pipeline.infra import quiet, redact
    from pipeline.report.write import show
    from pipeline.sweep import resume
    from pipeline.sweep.launch import launch
    from pipeline.tracking import artifacts, reader, writer

    quiet.silence()
    config, output = grid.config, Path(grid.config.output_dir)
    known = fingerprints(grid.points)
    tags = {
        "kind": "sweep",
        "dataset": config.dataset.name,
        "fingerprint": resume.sweep_fingerprint(known),
    }
    output.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        # Of two processes at the same moment one starts the sweep, and the other finds it running.
        with FileLock(output / ".sweep.lock"):
            earlier = resume.Earlier() if config.force else resume.find(config.tracking, known)
            if pending := earlier.pending(known):
                opened = writer.run(config.tracking, "sweep", tags, earlier.run_id)
                parent = stack.enter_context(opened)
        if not pending and earlier.run_id:
            show(config.tracking, config.report, earlier.run_id, output)
            print(f"complete: all {len(known)} points had finished; force=true runs them anew")
            return
        # MLflow changes no param, and in a sweep that is gone on with the lines may be in another
        # order.
        if not reader.read_run(config.tracking, parent.run_id).params:
            about = {"grid": list(config.grid), "points": len(grid.points)}
            parent.log_params(redact.flatten(about))
        names = [{"name": p.run_name, "dataset": p.dataset.name} for p in grid.points]
        artifacts.log_points(parent, dict(zip(known, names, strict=True)))
        _start_log(grid)
        if earlier.run_id:
            done = _points(len(known) - len(pending))
            log.info("going on with sweep %s: %s finished before", earlier.run_id, done)
        log.info("%s, first what they share", _points(len(pending)))
        start = time.perf_counter()
        _prepare([grid.points[number] for number in pending])
        finished, failures = launch(grid, known, parent.run_id, pending)
        recorded = [finished.get(number, key) for number, key in enumerate(known)]
        if recorded != known:  # else those points would be shown as not started
            artifacts.log_points(parent, dict(zip(recorded, names, strict=True)))
        parent.log_metrics({"sweep/seconds": time.perf_counter() - start})
    failed = [f"{grid.points[number].run_name}: {why}" for number, why in failures.items()]
    for file in show(config.tracking, config.report, parent.run_id, output):
        parent.log_file(file, "report")
        if file.suffix == ".md":  # the sweep's page in the UI opens with the table
            parent.log_note(file.read_text(encoding="utf-8").removeprefix("# Comparison\n"))
    minutes = (time.perf_counter() - start) / 60
    print(f"{len(finished)} of {len(pending)} points in {minutes:.1f} minutes")
    where = [word for word in overrides if word.startswith("tracking.uri=")]
    if config.tracking.experiment != "pydocs":  # which make ui shows without an argument
        where.append(f"tracking.experiment={config.tracking.experiment}")
    print("browse them: make ui" + (f' ARGS="{" ".join(where)}"' if where else ""))
    if failed:
        raise RuntimeError(f"{_points(len(failed))} failed: " + "; ".join(failed))


def _start_log(grid: Grid) -> None:
    folder = Path(grid.master.hydra.sweep.dir)
    folder.mkdir(parents=True, exist_ok=True)
    with open_dict(grid.master):
        grid.master.hydra.runtime.output_dir = str(folder)
    configure_log(grid.master.hydra.job_logging, False)


def _prepare(points: Sequence[Config]) -> None:
    """Make what the points share."""
    from pipeline import data
    from pipeline.experiment.shared import prepare
    from pipeline.infra import hardware
    from pipeline.infra import stage_cache as artifacts

    artifacts.share_stages(points[0].cache_uri)
    # The points that train need the negatives as well; one of each data set prepares all.
    shared = {str((p.dataset, p.embedder, p.mining, p.epochs > 0)): p for p in points}
    said = set()
    for point in shared.values():
        dataset = prepare(point, hardware.resolve(point.hardware)).dataset
        if dataset.fingerprint not in said:
            log.info("%s", data.summary(dataset))
        said.add(dataset.fingerprint)


def _points(number: int) -> str:
    return f"{number} point{'s' * (number != 1)}"
