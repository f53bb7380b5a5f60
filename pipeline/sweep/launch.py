"""The points of a sweep through Hydra's launcher, and what became of each.

What a launcher reports is believed; of the rest the tracking store says what has finished: joblib
gives up when a worker is killed, Ray and submitit stop collecting, and the points of a dead process
come back to nobody. Those that had not started are launched again, together; those that lost their
process follow one by one, so that a point that always dies costs nobody else.
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

from pipeline.config.compose import quoted
from pipeline.infra.errors import one_line
from pipeline.sweep.grid import Grid
from pipeline.sweep.resume import KILLED
from pipeline.sweep.task import Reported
from pipeline.tracking import liveness, reader
from pipeline.tracking.attempts import end

log = logging.getLogger("pipeline")

POLL = 5.0  # seconds between looks at points that may still be running


class Launched(NamedTuple):
    """What became of the points that have come to an end, by their number."""

    finished: dict[int, str]  # number -> the fingerprint under which it is recorded
    failures: dict[int, str]  # number -> what went wrong, in a line


class Lost(NamedTuple):
    """Points of which a launcher has brought nothing back."""

    started: list[int]  # and have lost their process
    waiting: list[int]  # not started, as far as the tracking store knows
    why: str  # the launcher's error


def launch(
    grid: Grid, fingerprints: Sequence[str], parent_run_id: str, numbers: Sequence[int]
) -> Launched:
    """Run the points with these numbers.

    ``fingerprints`` are those of all points of the grid. With ``fail_fast`` the points run one by
    one, whatever the launcher, and not beyond the first that fails; the rest is in the result
    neither as finished nor as failed.
    """
    sweep = _Sweep(grid, fingerprints, parent_run_id, len(numbers))
    together, alone = list(numbers), list[int]()
    if grid.config.fail_fast:
        together, alone = alone, together
    while together:
        lost = sweep.launch(together)
        if again := lost.started + lost.waiting:
            log.warning("the launcher gave up: %s", lost.why)
            log.warning("came to no end, run again: %s", sweep.names(again))
        alone += lost.started
        if lost.waiting == together:  # nobody can say which of them is to blame
            alone += lost.waiting
            break
        together = lost.waiting
    for number in alone:
        lost = sweep.launch([number])
        if number in lost.started + lost.waiting:
            sweep.failures[number] = KILLED if lost.started else lost.why
            log.warning("%s: %s", sweep.names([number]), sweep.failures[number])
        if grid.config.fail_fast and number in sweep.failures:
            break
    return Launched(sweep.finished, sweep.failures)


def at_once(master: DictConfig, points: int) -> int:
    """How many points the launcher runs at once on this machine; 1 where it shares out itself.

    Ray and SLURM give each job its processors and GPUs. ``points`` are those of the whole grid:
    a resumed sweep has fewer to run, but weights depend on the number of threads.
    """
    launcher = master.hydra.launcher
    target = str(launcher._target_)
    if target.endswith("JoblibLauncher"):
        jobs = int(launcher.n_jobs)
        return min(points, jobs if jobs > 0 else os.cpu_count() or 1)
    return points if target.endswith("LocalLauncher") else 1


class _Sweep:
    """The sweep while it runs: ``finished`` and ``failures`` as in ``Launched``."""

    def __init__(
        self, grid: Grid, fingerprints: Sequence[str], parent_run_id: str, total: int
    ) -> None:
        self.finished: dict[int, str] = {}
        self.failures: dict[int, str] = {}
        self._grid, self._fingerprints, self._parent = grid, fingerprints, parent_run_id
        folder = str(grid.master.hydra.sweep.dir)
        self._task = Reported(total, folder, at_once(grid.master, len(grid.points)))
        self._launched = 0
        self._known = {run.run_id for run in self._attempts()}

    def launch(self, numbers: Sequence[int]) -> Lost:
        """Launch points together and note what became of them."""
        results: dict[int, JobReturn] = {}
        why = ""
        for group in _groups(self._grid, numbers):
            try:
                returned = _launch(self._grid, self._task, self._parent, group, self._launched)
                results |= zip(group, returned, strict=True)
            except Exception as error:  # of the launcher: a task's own are in its result
                why = one_line(error)
            self._launched += len(group)
        if len(results) < len(numbers):
            _end_lost(self._grid, self._parent)
        attempts = self._attempts()  # now, as some may have finished while others were waited for
        recorded = {run.run_id: run.tags["fingerprint"] for run in attempts}
        done = {recorded[run.run_id] for run in attempts if run.status == "FINISHED"}
        for number in numbers:
            fingerprint, result = self._fingerprints[number], results.get(number)
            if result is not None and result.status is JobStatus.COMPLETED:
                self.finished[number] = recorded.get(result.return_value, fingerprint)
            elif fingerprint in done:
                self.finished[number] = fingerprint
            elif result is not None:
                self.failures[number] = str(result._return_value)
        changed = [n for n in numbers if self.finished.get(n) not in (None, self._fingerprints[n])]
        if changed:
            log.warning(
                "recorded under another fingerprint, as code, data or a run that they refer to "
                "has changed or differs there: %s",
                self.names(changed),
            )
        new = {recorded[run.run_id] for run in attempts if run.run_id not in self._known}
        self._known |= recorded.keys()
        lost = [n for n in numbers if n not in self.finished and n not in self.failures]
        started = [number for number in lost if self._fingerprints[number] in new]
        return Lost(started, [number for number in lost if number not in started], why)

    def names(self, numbers: Sequence[int]) -> str:
        """The names of points, for a message."""
        return ", ".join(self._grid.points[number].run_name for number in numbers)

    def _attempts(self) -> list[reader.RunRecord]:
        return reader.read_attempts(self._grid.config.tracking, self._parent)


def _groups(grid: Grid, numbers: Sequence[int]) -> Iterator[list[int]]:
    """Points that can be launched by one call, one group after the other.

    Ray reserves the same share of a GPU for all tasks of a launch, so there is one for each
    ``base.gpu_share``.
    """
    if str(grid.master.hydra.launcher._target_).endswith("RayLauncher"):
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
) -> Sequence[JobReturn]:
    """One call of the launcher, which may raise anything."""
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
    return launcher.launch(points, initial_job_idx=first_job)


def _end_lost(grid: Grid, parent_run_id: str) -> None:
    """Wait for points that still run, and record those as FAILED whose process is gone."""
    config, said = grid.config.tracking, False
    while True:
        attempts = reader.read_attempts(config, parent_run_id)
        running = [run for run in attempts if run.status == "RUNNING"]
        alive = [run for run in running if not liveness.is_dead(run.tags)]
        for run in running:
            if run not in alive:
                end(config, run.run_id, "FAILED", KILLED)
        if not alive:
            return
        if not said:
            log.info("waiting for %s", ", ".join(run.name for run in alive))
        said = True
        time.sleep(POLL)
