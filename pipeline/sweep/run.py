"""Run a whole grid: ``python -m pipeline sweep experiment=pydocs``.

``grid`` in the configuration is a list of lines, each a product of overrides. Their union is the
grid, so controls are lines like any other. Every point is composed and checked before the first one
starts. The points run through Hydra's launcher (``hydra/launcher=``), as children of one MLflow
run. A point that fails is recorded and the others run on. Points that an earlier attempt at the
same sweep has finished are kept (see ``resume``) unless ``force=true``.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock
from hydra.core.utils import configure_log
from omegaconf import open_dict

from pipeline.config import Config
from pipeline.infra.imports import importing
from pipeline.infra.redact import mask
from pipeline.sweep.attempt import Attempt, begin, counted, run_points, time_finished
from pipeline.sweep.grid import Grid, check_references

if TYPE_CHECKING:
    from pipeline.sweep.launch import Launched
    from pipeline.sweep.resume import Earlier
    from pipeline.tracking.writer import ActiveRun


def run(overrides: Sequence[str]) -> None:
    """Run the grid of ``overrides`` and show the comparison table.

    Raises:
        InputError: a point is not valid and nothing has run; or what the points share can't be
            made, which is recorded as the failure of the sweep.
        RuntimeError: some points failed; the others are recorded.
        Refused: another process is running this sweep.
    """
    grid = Grid(overrides)  # before the heavy imports, to report a mistake at once
    with importing():
        from pipeline.experiment.fingerprint import fingerprints
        from pipeline.infra import quiet
        from pipeline.infra.in_use import held
        from pipeline.report.write import show
        from pipeline.sweep import resume

        quiet.silence()
    check_references(grid.points)
    config, output = grid.config, Path(grid.config.output_dir)
    keys = fingerprints(grid.points)
    output.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        # If two processes start at the same moment, one of them finds the sweep running.
        with FileLock(output / ".sweep.lock"):
            earlier = resume.Earlier() if config.force else resume.find(config.tracking, keys)
            complete = _is_complete(grid, keys, earlier)
            if not complete:
                parent = stack.enter_context(_open_run(config, keys, earlier))
        if complete:
            assert earlier.run_id
            show(config.tracking, config.report, earlier.run_id, output)
            print(f"complete: all {len(keys)} points had finished; force=true runs them again")
            return
        _start_log(grid)
        # Also between two points, whatever tracking store clean-cache looks at.
        (output / "cache").mkdir(exist_ok=True)
        stack.enter_context(held(output / "cache"))
        attempt = begin(grid, keys, earlier, parent)
        launched = run_points(attempt)
        problem = time_finished(attempt, launched)
        parent.log_metrics(attempt.clock.metrics())
        if launched.failures:
            parent.fail(_summary(grid, launched.failures))
    _show(attempt, launched, overrides)
    if launched.failures:
        raise RuntimeError(_summary(grid, launched.failures))
    if problem:
        raise RuntimeError(f"latency was not measured: {problem}; run the command again for it")


def _is_complete(grid: Grid, keys: Sequence[str], earlier: "Earlier") -> bool:
    """Whether earlier attempts have run and timed all points."""
    from pipeline.sweep.latency import untimed

    if not earlier.run_id or earlier.pending(keys):
        return False
    points = dict(zip(keys, grid.points, strict=True))
    return not untimed(grid.config.tracking, earlier.run_id, points)


def _open_run(
    config: Config, keys: Sequence[str], earlier: "Earlier"
) -> AbstractContextManager["ActiveRun"]:
    """Open the run of the sweep; that of earlier attempts is opened again."""
    from pipeline.sweep.resume import sweep_fingerprint
    from pipeline.tracking import writer

    tags = {
        "kind": "sweep",
        "dataset": config.dataset.name,
        "fingerprint": sweep_fingerprint(keys),
    }
    return writer.run(config.tracking, "sweep", tags, earlier.run_id)


def _show(attempt: Attempt, launched: "Launched", overrides: Sequence[str]) -> None:
    """Print the comparison and the time, and store the report with the sweep.

    The page of the sweep shows the table.
    """
    from pipeline.report.write import show

    config, parent = attempt.grid.config, attempt.parent
    for file in show(config.tracking, config.report, parent.run_id, Path(config.output_dir)):
        parent.log_file(file, "report")
        if file.suffix == ".md":
            parent.log_note(file.read_text(encoding="utf-8").removeprefix("# Comparison\n"))
    done, minutes = len(launched.finished), attempt.clock.here() / 60
    print(f"{done} of {len(attempt.pending)} points in {minutes:.1f} minutes")
    print(f"browse them: make ui{_ui_arguments(config, overrides)}")


def _ui_arguments(config: Config, overrides: Sequence[str]) -> str:
    """Return what ``make ui`` needs to show this sweep, if it needs anything."""
    where = [mask(word) for word in overrides if word.startswith(("tracking.uri=", "output_dir="))]
    if config.tracking.experiment != "pydocs":
        where.append(f"tracking.experiment={config.tracking.experiment}")
    return f' ARGS="{" ".join(where)}"' if where else ""


def _summary(grid: Grid, failures: Mapping[int, str]) -> str:
    failed = [f"{grid.points[number].run_name}: {why}" for number, why in failures.items()]
    return f"{counted(len(failed))} failed: " + "; ".join(failed)


def _start_log(grid: Grid) -> None:
    folder = Path(grid.master.hydra.sweep.dir)
    folder.mkdir(parents=True, exist_ok=True)
    with open_dict(grid.master.hydra):
        grid.master.hydra.runtime.output_dir = str(folder)
    configure_log(grid.master.hydra.job_logging, False)
