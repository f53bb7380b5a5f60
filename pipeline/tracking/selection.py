"""Choose the recorded sweeps and points that a report is about."""

from collections.abc import Sequence
from typing import NamedTuple

from pipeline.config.compose import RUN_ID
from pipeline.config.stages import TrackingConfig
from pipeline.records import InputError
from pipeline.tracking.reader import (
    RunRecord,
    find_run,
    latest_sweep,
    read_finished,
    read_run,
)


class Selection(NamedTuple):
    """The run ids of sweeps, and finished points, each once."""

    sweeps: list[str]
    points: list[RunRecord]


def selected(config: TrackingConfig, names: Sequence[str]) -> Selection:
    """Sweeps by their ids, and finished points by their ids or names.

    Raises:
        InputError: there is no such run, or a run is neither a sweep nor a point.
    """
    runs = {run.run_id: run for run in (_find(config, name) for name in names)}
    sweeps = [run_id for run_id, run in runs.items() if run.tags["kind"] == "sweep"]
    return Selection(sweeps, [run for run_id, run in runs.items() if run_id not in sweeps])


def newest(config: TrackingConfig) -> Selection:
    """The latest sweep of the experiment, or all its finished points if there is no sweep.

    Raises:
        InputError: the tracking store can't be read.
    """
    if sweep := latest_sweep(config):
        return Selection([sweep], [])
    return Selection([], read_finished(config))


def _find(config: TrackingConfig, name: str) -> RunRecord:
    name = name.removeprefix("run:")
    if RUN_ID.fullmatch(name):
        run = read_run(config, name)
        if run.tags.get("kind") == "sweep":
            return run
    run = find_run(config, name)
    if run.tags.get("kind") != "point":
        raise InputError(f"run:{name}: {run.name} is neither a sweep nor a grid point")
    return run
