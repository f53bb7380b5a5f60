"""Run a whole grid: ``python -m pipeline sweep experiment=pydocs``.

``grid`` in the configuration is a list of lines, each a product of overrides. Their union is the
grid, so controls are lines like any other. Every point is composed and checked before the first one
starts. The points run through Hydra's launcher (``hydra/launcher=``), as children of one MLflow
run. A point that fails is recorded and the others run on. Points that an earlier attempt at the
same sweep has finished are kept (see ``resume``) unless ``force=true``.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock
from hydra.core.utils import configure_log
from omegaconf import open_dict

from pipeline.config import Config
from pipeline.infra.imports import importing
from pipeline.infra.redact import mask
from pipeline.sweep.clock import Clock
from pipeline.sweep.grid import Grid, check_references

if TYPE_CHECKING:
    from pipeline.experiment.shared import Shared
    from pipeline.sweep.launch import Launched
    from pipeline.tracking.reader import RunRecord
    from pipeline.tracking.writer import ActiveRun

log = logging.getLogger("pipeline")


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
        from pipeline.sweep.latency import untimed
        from pipeline.tracking import reader, writer

        quiet.silence()
    check_references(grid.points)
    config, output = grid.config, Path(grid.config.output_dir)
    keys = fingerprints(grid.points)
    points = dict(zip(keys, grid.points, strict=True))
    tags = {
        "kind": "sweep",
        "dataset": config.dataset.name,
        "fingerprint": resume.sweep_fingerprint(keys),
    }
    output.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        # If two processes start at the same moment, one of them finds the sweep running.
        with FileLock(output / ".sweep.lock"):
            earlier = resume.Earlier() if config.force else resume.find(config.tracking, keys)
            pending = earlier.pending(keys)
            complete = bool(
                earlier.run_id
                and not pending
                and not untimed(config.tracking, earlier.run_id, points)
            )
            if not complete:
                opened = writer.run(config.tracking, "sweep", tags, earlier.run_id)
                parent = stack.enter_context(opened)
        if complete:
            assert earlier.run_id
            show(config.tracking, config.report, earlier.run_id, output)
            print(f"complete: all {len(keys)} points had finished; force=true runs them again")
            return
        _start_log(grid)
        # Also between two points, whatever tracking store clean-cache looks at.
        (output / "cache").mkdir(exist_ok=True)
        stack.enter_context(held(output / "cache"))
        if earlier.run_id:
            done = _points(len(keys) - len(pending))
            log.info("resuming sweep %s: %s finished before", earlier.run_id, done)
        before = reader.read_run(config.tracking, parent.run_id)
        clock = Clock(earlier=before.metrics.get("sweep/seconds", 0.0))
        launched = _run_points(grid, keys, pending, parent, before, clock)
        points |= {key: grid.points[number] for number, key in launched.finished.items()}
        problem = _time_points(grid, points, parent.run_id, launched)
        parent.log_metrics(clock.metrics())
        if launched.failures:
            parent.fail(_summary(grid, launched.failures))
    _show(grid, parent)
    minutes = clock.here() / 60
    print(f"{len(launched.finished)} of {len(pending)} points in {minutes:.1f} minutes")
    print(f"browse them: make ui{_ui_arguments(config, overrides)}")
    if launched.failures:
        raise RuntimeError(_summary(grid, launched.failures))
    if problem:
        raise RuntimeError(f"latency was not measured: {problem}; run the command again for it")


def _time_points(
    grid: Grid, points: Mapping[str, Config], parent_run_id: str, launched: "Launched"
) -> str:
    """Time the finished points and return what went wrong, "" if nothing did.

    ``points`` is by fingerprint. With ``fail_fast`` and a failure nothing is timed.
    """
    from pipeline.infra.errors import one_line
    from pipeline.sweep.latency import time_points, untimed

    if grid.config.fail_fast and launched.failures:
        return ""
    try:
        if waiting := untimed(grid.config.tracking, parent_run_id, points):
            # Hydra's launchers leave the log configured in another way.
            configure_log(grid.master.hydra.job_logging, False)
            time_points(grid, parent_run_id, waiting)
    except Exception as error:  # The points have finished, and their results are shown.
        log.debug("the timing failed", exc_info=True)
        log.warning("latency: %s", one_line(error))
        return one_line(error)
    return ""


def _run_points(
    grid: Grid,
    keys: Sequence[str],
    pending: Sequence[int],
    parent: "ActiveRun",
    before: "RunRecord",
    clock: Clock,
) -> "Launched":
    """Make what the pending points share, launch them, and record which points there are.

    ``keys`` are the fingerprints of all points, and ``before`` is the sweep's run as earlier
    attempts have left it.
    """
    from pipeline.infra import redact
    from pipeline.infra.steps import step
    from pipeline.sweep.estimate import expect
    from pipeline.sweep.launch import Launched, launch
    from pipeline.tracking import artifacts

    if not pending:
        return Launched({}, {})

    # MLflow can't change a param, and a resumed sweep may have the lines in another order.
    if not before.params:
        about = {"grid": list(grid.config.grid), "points": len(grid.points)}
        parent.log_params(redact.flatten(about))
    names = [{"name": p.run_name, "dataset": p.dataset.name} for p in grid.points]
    artifacts.log_points(parent, dict(zip(keys, names, strict=True)))
    log.info("%s, first what they share", _points(len(pending)))
    spent: dict[str, float] = {}
    ready = _prepare([grid.points[number] for number in pending], spent)
    with step("estimate", spent):
        clock = expect(clock, grid, ready)
    if "sweep/estimated_seconds" not in before.metrics:  # A resumed sweep keeps its first one.
        parent.log_metrics(clock.estimated())
    del ready  # The points load what they need, in this process or in others.
    parent.log_seconds({n: s + before.metrics.get(f"seconds/{n}", 0.0) for n, s in spent.items()})
    launched = launch(grid, keys, parent.run_id, pending, clock)
    recorded = [launched.finished.get(number, key) for number, key in enumerate(keys)]
    if recorded != list(keys):
        # Points recorded under another fingerprint would be shown as not started.
        artifacts.log_points(parent, dict(zip(recorded, names, strict=True)))
    return launched


def _show(grid: Grid, parent: "ActiveRun") -> None:
    """Print the comparison and store the report with the sweep, whose page shows the table."""
    from pipeline.report.write import show

    config = grid.config
    for file in show(config.tracking, config.report, parent.run_id, Path(config.output_dir)):
        parent.log_file(file, "report")
        if file.suffix == ".md":
            parent.log_note(file.read_text(encoding="utf-8").removeprefix("# Comparison\n"))


def _ui_arguments(config: Config, overrides: Sequence[str]) -> str:
    """Return what ``make ui`` needs to show this sweep, if it needs anything."""
    where = [mask(word) for word in overrides if word.startswith(("tracking.uri=", "output_dir="))]
    if config.tracking.experiment != "pydocs":
        where.append(f"tracking.experiment={config.tracking.experiment}")
    return f' ARGS="{" ".join(where)}"' if where else ""


def _summary(grid: Grid, failures: Mapping[int, str]) -> str:
    failed = [f"{grid.points[number].run_name}: {why}" for number, why in failures.items()]
    return f"{_points(len(failed))} failed: " + "; ".join(failed)


def _start_log(grid: Grid) -> None:
    folder = Path(grid.master.hydra.sweep.dir)
    folder.mkdir(parents=True, exist_ok=True)
    with open_dict(grid.master.hydra):
        grid.master.hydra.runtime.output_dir = str(folder)
    configure_log(grid.master.hydra.job_logging, False)


def _prepare(points: Sequence[Config], spent: dict[str, float]) -> list[tuple[Config, "Shared"]]:
    """Make what the points share, and return it with each; ``spent`` collects the seconds."""
    with importing():
        # recipe is for the points: they load models, after which nothing more is to be imported.
        from pipeline.experiment import lengths, recipe  # noqa: F401
        from pipeline.experiment.shared import announce, prepare_shared, shared_key
        from pipeline.infra import hardware
        from pipeline.infra.stage_cache import StageCache

    cache = StageCache.of(points[0])
    made: dict[str, Shared] = {}
    ready, announced = [], set()
    for point in points:
        key = shared_key(point)
        if key not in made:
            machine = hardware.resolve(point.hardware)
            made[key] = prepare_shared(point, machine, cache, spent)
            searched = str((point.dataset, point.embedder, point.index))
            if searched not in announced:
                announce(made[key])
                lengths.warn_of_embedder(made[key])
            announced.add(searched)
        ready.append((point, made[key]))
    return ready


def _points(number: int) -> str:
    return f"{number} point{'s' * (number != 1)}"
