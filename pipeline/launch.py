"""The points of a sweep through Hydra's launcher, and what became of each.

The tracking store says what has finished, not the launcher: joblib gives up when a worker is
killed, Ray stops collecting, and the points of a dead process come back to nobody. Those are run
once more, and fail if their process dies again.
"""

import logging
import os
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hydra._internal.callbacks import Callbacks
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict

from pipeline import tracking
from pipeline.config.overrides import quoted
from pipeline.errors import one_line
from pipeline.grid import Grid
from pipeline.progress import Reported

log = logging.getLogger("pipeline")

KILLED = "its process was killed, perhaps for want of memory"
POLL = 5.0  # seconds between looks at points that may still be running


class Launched(NamedTuple):
    """How many points have finished, and number -> what went wrong, in a line, of the others."""

    finished: int
    failures: dict[int, str]


def launch(
    grid: Grid, fingerprints: Sequence[str], parent_run_id: str, numbers: Sequence[int]
) -> Launched:
    """Run the points with these numbers.

    ``fingerprints`` are those of all points of the grid. With ``fail_fast`` the points run one by
    one, whatever the launcher, and not beyond the first that fails; the rest is in the result
    neither as finished nor as failed.
    """
    finished: set[str] = set()
    failures: dict[int, str] = {}
    left = list(numbers)
    task = Reported(
        len(numbers), str(grid.master.hydra.sweep.dir), at_once(grid.master, len(numbers))
    )
    started = 0
    for last in (False, True):
        results: dict[int, JobReturn] = {}
        for group in _groups(grid, left):
            results |= _launch(grid, task, parent_run_id, group, started)
            started += len(group)
            if grid.config.fail_fast and not _succeeded(results.get(group[0])):
                break
        lost = []
        finished = _finished(grid, parent_run_id)
        for number in left:
            result = results.get(number)
            if fingerprints[number] in finished:
                continue
            if result is not None and result.status is JobStatus.FAILED:
                failures[number] = one_line(result._return_value)
            else:
                lost.append(number)
        if not lost or grid.config.fail_fast:
            break
        names = ", ".join(grid.points[number].run_name for number in lost)
        _end_lost(grid, parent_run_id)
        if last:
            failures |= dict.fromkeys(lost, KILLED)
        else:
            log.warning("lost with their process, run again: %s", names)
        left = lost
    return Launched(sum(fingerprints[number] in finished for number in numbers), failures)


def _succeeded(result: JobReturn | None) -> bool:
    return result is not None and result.status is JobStatus.COMPLETED


def at_once(master: DictConfig, points: int) -> int:
    """How many points the launcher runs at once on this machine; 1 where it shares out itself.

    Ray and SLURM give each job its processors and GPUs.
    """
    launcher = master.hydra.launcher
    target = str(launcher._target_)
    if target.endswith("JoblibLauncher"):
        jobs = int(launcher.n_jobs)
        return min(points, jobs if jobs > 0 else os.cpu_count() or 1)
    return points if target.endswith("LocalLauncher") else 1


def _groups(grid: Grid, numbers: Sequence[int]) -> Iterator[list[int]]:
    """Points that are launched together, one group after the other.

    Ray reserves the same share of a GPU for all tasks of a launch, so there is one for each
    ``base.gpu_share``.
    """
    if grid.config.fail_fast:
        yield from ([number] for number in numbers)
    elif str(grid.master.hydra.launcher._target_).endswith("RayLauncher"):
        for share in sorted({grid.points[number].base.gpu_share for number in numbers}):
            group = [n for n in numbers if grid.points[n].base.gpu_share == share]
            with open_dict(grid.master):
                remote = grid.master.hydra.launcher.ray.remote
                remote.num_gpus = share if _has_gpus(grid) else 0
            yield group
    else:
        yield list(numbers)


def _has_gpus(grid: Grid) -> bool:
    """Whether Ray's workers have GPUs: on a cluster, unless told otherwise; here, if there are."""
    import torch

    if grid.config.hardware.device not in ("auto", "cuda"):
        return False
    address = grid.master.hydra.launcher.ray.init.get("address")
    return address is not None or torch.cuda.device_count() > 0


def _launch(
    grid: Grid, task: Reported, parent_run_id: str, numbers: Sequence[int], first_job: int
) -> dict[int, JobReturn]:
    """One call of the launcher; empty if it gave up."""
    HydraConfig.instance().set_config(grid.master)
    launcher = Plugins.instance().instantiate_launcher(
        config=grid.master,
        hydra_context=HydraContext(
            config_loader=grid.hydra.config_loader, callbacks=Callbacks(grid.master)
        ),
        task_function=task,
    )
    # A point of another data set would name another experiment, where nobody looks for it.
    of_sweep = [
        f"tracking.parent_run_id={parent_run_id}",
        f"tracking.experiment={quoted(grid.config.tracking.experiment)}",
    ]
    points = [[*grid.overrides[number], *of_sweep] for number in numbers]
    try:
        results = launcher.launch(points, initial_job_idx=first_job)
    except Exception as error:  # of the launcher: a task's own are in its result
        log.warning("the launcher gave up: %s", one_line(error))
        return {}
    return dict(zip(numbers, results, strict=True))


def _finished(grid: Grid, parent_run_id: str) -> set[str]:
    attempts = tracking.read_attempts(grid.config.tracking, parent_run_id)
    return {run.tags["fingerprint"] for run in attempts if run.status == "FINISHED"}


def _end_lost(grid: Grid, parent_run_id: str) -> None:
    """Wait for points that still run, and record those as FAILED whose process is gone."""
    config, said = grid.config.tracking, False
    while True:
        attempts = tracking.read_attempts(config, parent_run_id)
        running = [run for run in attempts if run.status == "RUNNING"]
        alive = [run for run in running if not tracking.is_dead(run.tags)]
        for run in running:
            if run not in alive:
                tracking.end(config, run.run_id, "FAILED", KILLED)
        if not alive:
            return
        if not said:
            log.info("waiting for %s", ", ".join(run.name for run in alive))
        said = True
        time.sleep(POLL)
