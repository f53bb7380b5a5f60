"""Time the points of a sweep, one by one, after the last of them has ended.

While points train beside each other, each slows the others down. Launchers that run points on this
machine leave it to the sweep's own process. On a cluster one job times them all.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from hydra.core.utils import JobStatus
from omegaconf import DictConfig

from pipeline.config import Config
from pipeline.config.stages import TrackingConfig
from pipeline.sweep.grid import Grid
from pipeline.sweep.launch import call_launcher, launcher_name
from pipeline.tracking import reader

ELSEWHERE = ("SlurmLauncher", "RayLauncher")
"""Launchers whose jobs may run on other machines."""


def untimed(
    tracking: TrackingConfig, parent_run_id: str, points: Mapping[str, Config]
) -> dict[str, Config]:
    """Return run id -> point for the finished points without timings that are to have some.

    ``points`` is by fingerprint.
    """
    found = {}
    for run in reader.read_runs(tracking, parent_run_id):
        point = points.get(run.tags["fingerprint"])
        timed = any(name.startswith("latency/") for name in run.metrics)
        if run.status == "FINISHED" and point and point.latency.enabled and not timed:
            of_sweep = replace(
                point.tracking, parent_run_id=parent_run_id, experiment=tracking.experiment
            )
            found[run.run_id] = replace(point, tracking=of_sweep)
    return found


def elsewhere(grid: Grid) -> bool:
    """Return whether the points may run on other machines."""
    return launcher_name(grid.master) in ELSEWHERE


@dataclass(frozen=True)
class Timing:
    """A job that times recorded points, by run id; launchers pickle it."""

    points: Mapping[str, Config]

    def __call__(self, config: DictConfig) -> None:
        """Time all points; the job's own configuration is not used."""
        from pipeline.experiment.latency import time_recorded
        from pipeline.infra import quiet

        quiet.silence()
        time_recorded(self.points)


def time_points(grid: Grid, parent_run_id: str, points: Mapping[str, Config]) -> None:
    """Time recorded points, by run id.

    Raises:
        Exception: the timing failed.
    """
    timing = Timing(points)
    if not elsewhere(grid):
        timing(grid.master)
        return
    (result,) = call_launcher(grid, timing, parent_run_id, [0], len(grid.points))
    if result.status is not JobStatus.COMPLETED:
        raise RuntimeError(str(result._return_value))
