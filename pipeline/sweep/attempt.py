"""Run and time what is left of a sweep, as one attempt at it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hydra.core.utils import configure_log

from pipeline.config import Config
from pipeline.infra.imports import importing
from pipeline.sweep.clock import Clock
from pipeline.sweep.grid import Grid

if TYPE_CHECKING:
    from pipeline.experiment.shared import Shared
    from pipeline.sweep.launch import Launched
    from pipeline.sweep.resume import Earlier
    from pipeline.tracking.reader import RunRecord
    from pipeline.tracking.writer import ActiveRun

log = logging.getLogger("pipeline")


@dataclass(frozen=True)
class Attempt:
    """One attempt at a sweep, the first or a later one."""

    grid: Grid
    keys: Sequence[str]  # the fingerprints of all points
    pending: Sequence[int]  # the numbers of the points to run
    parent: "ActiveRun"
    before: "RunRecord"  # the run of the sweep as earlier attempts have left it
    clock: Clock


def begin(grid: Grid, keys: Sequence[str], earlier: "Earlier", parent: "ActiveRun") -> Attempt:
    """Find what is left to run, and start the clock."""
    from pipeline.tracking import reader

    pending = earlier.pending(keys)
    if earlier.run_id:
        done = counted(len(keys) - len(pending))
        log.info("resuming sweep %s: %s finished before", earlier.run_id, done)
    before = reader.read_run(grid.config.tracking, parent.run_id)
    clock = Clock(earlier=before.metrics.get("sweep/seconds", 0.0))
    return Attempt(grid, keys, pending, parent, before, clock)


def run_points(attempt: Attempt) -> "Launched":
    """Make what the pending points share, launch them, and record which points there are."""
    from pipeline.infra import redact
    from pipeline.sweep.launch import Launched, launch

    grid, keys, parent = attempt.grid, attempt.keys, attempt.parent
    if not attempt.pending:
        return Launched({}, {})
    # MLflow can't change a param, and a resumed sweep may have the lines in another order.
    if not attempt.before.params:
        about = {"grid": list(grid.config.grid), "points": len(grid.points)}
        parent.log_params(redact.flatten(about))
    _log_points(attempt, keys)
    clock = _expect(attempt)
    launched = launch(grid, keys, parent.run_id, attempt.pending, clock)
    recorded = [launched.finished.get(number, key) for number, key in enumerate(keys)]
    if recorded != list(keys):
        # Points recorded under another fingerprint would be shown as not started.
        _log_points(attempt, recorded)
    return launched


def _log_points(attempt: Attempt, keys: Sequence[str]) -> None:
    """Store the names of all points under ``keys``."""
    from pipeline.tracking import artifacts

    names = [{"name": p.run_name, "dataset": p.dataset.name} for p in attempt.grid.points]
    artifacts.log_points(attempt.parent, dict(zip(keys, names, strict=True)))


def _expect(attempt: Attempt) -> Clock:
    """Make what the pending points share; return the clock with how long they will take.

    What was made is dropped: the points load what they need, in this process or in others.
    """
    from pipeline.infra.steps import step
    from pipeline.sweep.estimate import expect

    parent, before = attempt.parent, attempt.before.metrics
    log.info("%s, first what they share", counted(len(attempt.pending)))
    spent: dict[str, float] = {}
    ready = _prepare([attempt.grid.points[number] for number in attempt.pending], spent)
    with step("estimate", spent):
        clock = expect(attempt.clock, attempt.grid, ready)
    if "sweep/estimated_seconds" not in before:  # A resumed sweep keeps its first one.
        parent.log_metrics(clock.estimated())
    parent.log_seconds({n: s + before.get(f"seconds/{n}", 0.0) for n, s in spent.items()})
    return clock


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


def time_finished(attempt: Attempt, launched: "Launched") -> str:
    """Time the finished points and return what went wrong, "" if nothing did.

    With ``fail_fast`` and a failure nothing is timed.
    """
    from pipeline.infra.errors import one_line
    from pipeline.sweep.latency import time_points, untimed

    grid, parent_run_id = attempt.grid, attempt.parent.run_id
    if grid.config.fail_fast and launched.failures:
        return ""
    points = dict(zip(attempt.keys, grid.points, strict=True))
    points |= {key: grid.points[number] for number, key in launched.finished.items()}
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


def counted(points: int) -> str:
    """Return ``1 point`` or ``2 points``."""
    return f"{points} point{'s' * (points != 1)}"
