"""Run a sweep's points through Hydra's launcher and collect the outcomes.

A launcher may give up: joblib when a worker is killed, Ray and submitit when one job fails. Then
the tracking store shows which points have finished. The others are launched once more, one by one:
together, a point that always dies would take the others with it again under joblib. This is slower
than the first launch. Stopping the sweep and running the command again also works, and runs the
points in parallel, those that were killed last.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import NamedTuple

from hydra._internal.callbacks import Callbacks
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict

from pipeline.config.compose import quoted
from pipeline.config.stages import TrackingConfig
from pipeline.infra.errors import one_line
from pipeline.infra.processes import cores
from pipeline.sweep.clock import Clock
from pipeline.sweep.grid import Grid
from pipeline.sweep.resume import KILLED
from pipeline.sweep.task import Reported
from pipeline.tracking import reader
from pipeline.tracking.attempts import settle

log = logging.getLogger("pipeline")


class Launched(NamedTuple):
    """The outcome of the points that have ended, by their number in the grid."""

    finished: dict[int, str]  # number -> the fingerprint under which it is recorded
    failures: dict[int, str]  # number -> the reason, in one line


def launch(
    grid: Grid,
    fingerprints: Sequence[str],
    parent_run_id: str,
    numbers: Sequence[int],
    clock: Clock,
) -> Launched:
    """Run the points with these numbers.

    ``fingerprints`` are those of all points of the grid. With ``fail_fast`` the points run one by
    one, whatever the launcher, until one fails. The rest is then in neither part of the result.
    """
    sweep = _Sweep(grid, fingerprints, parent_run_id, len(numbers), clock)
    if not grid.config.fail_fast:
        why = sweep.launch(numbers)
        if again := sweep.names(sweep.unfinished(numbers)):
            log.warning("the launcher gave up: %s", why)
            log.warning("%s did not finish; running it again", again)
    for number in sweep.unfinished(numbers):
        why = sweep.launch([number])
        if sweep.unfinished([number]):
            sweep.failures[number] = KILLED if number in sweep.started else why
            log.warning("%s: %s", sweep.names([number]), sweep.failures[number])
        if grid.config.fail_fast and number in sweep.failures:
            break
    return Launched(sweep.finished, sweep.failures)


def at_once(master: DictConfig, points: int) -> int:
    """Return how many points the launcher runs at once on this machine.

    It is 1 for Ray and SLURM, which give each job its own processors and GPUs. ``points`` counts
    the whole grid, also if a resumed sweep has fewer to run, because the trained weights depend on
    the number of threads.
    """
    launcher = launcher_name(master)
    if launcher == "JoblibLauncher":
        jobs = int(master.hydra.launcher.n_jobs)
        return min(points, jobs if jobs > 0 else cores())
    return points if launcher == "LocalLauncher" else 1


def launcher_name(master: DictConfig) -> str:
    """Return the class name of Hydra's launcher, such as ``BasicLauncher``."""
    return str(master.hydra.launcher._target_).rpartition(".")[2]


class _Sweep:
    """A sweep while it runs: ``finished`` and ``failures`` as in ``Launched``.

    ``started`` has the numbers of the points that have begun at least once.
    """

    def __init__(
        self,
        grid: Grid,
        fingerprints: Sequence[str],
        parent_run_id: str,
        total: int,
        clock: Clock,
    ) -> None:
        self.finished: dict[int, str] = {}
        self.failures: dict[int, str] = {}
        self.started: set[int] = set()
        self._grid, self._fingerprints, self._parent = grid, fingerprints, parent_run_id
        folder = str(grid.master.hydra.sweep.dir)
        self._task = Reported(total, folder, clock, at_once(grid.master, len(grid.points)))
        self._jobs = 0
        self._before = {run.run_id for run in reader.read_attempts(self._config, parent_run_id)}

    @property
    def _config(self) -> TrackingConfig:
        return self._grid.config.tracking

    def launch(self, numbers: Sequence[int]) -> str:
        """Launch points together and record their outcomes; return the launcher's own error."""
        results: dict[int, JobReturn] = {}
        why = ""
        for group in _groups(self._grid, numbers):
            try:
                returned = call_launcher(self._grid, self._task, self._parent, group, self._jobs)
                results |= zip(group, returned, strict=True)
            except Exception as error:  # An error of a point is in its result instead.
                why = one_line(error)
            self._jobs += len(group)
        if len(results) < len(numbers):
            settle(self._config, self._parent, "FAILED", KILLED)
        # Some may have finished while settle waited for others.
        self._collect(numbers, results)
        return why

    def _collect(self, numbers: Sequence[int], results: Mapping[int, JobReturn]) -> None:
        attempts = reader.read_attempts(self._config, self._parent)
        recorded = {run.run_id: run.tags["fingerprint"] for run in attempts}
        done = {recorded[run.run_id] for run in attempts if run.status == "FINISHED"}
        begun = {key for run_id, key in recorded.items() if run_id not in self._before}
        self.started |= {n for n in numbers if self._fingerprints[n] in begun}
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
                "recorded under another fingerprint, because code, data or a run that they refer "
                "to has changed or differs there: %s",
                self.names(changed),
            )

    def unfinished(self, numbers: Sequence[int]) -> list[int]:
        """Return the points that have neither finished nor failed."""
        return [n for n in numbers if n not in self.finished and n not in self.failures]

    def names(self, numbers: Sequence[int]) -> str:
        """Return the names of points, for a message."""
        return ", ".join(self._grid.points[number].run_name for number in numbers)


def _groups(grid: Grid, numbers: Sequence[int]) -> list[list[int]]:
    """Divide points into groups that one call can launch.

    Ray reserves the same share of a GPU for all tasks of a call, so each ``base.gpu_share`` is a
    group.
    """
    if launcher_name(grid.master) != "RayLauncher":
        return [list(numbers)]
    shares = sorted({grid.points[number].base.gpu_share for number in numbers})
    return [[n for n in numbers if grid.points[n].base.gpu_share == share] for share in shares]


def master_for(grid: Grid, numbers: Sequence[int]) -> DictConfig:
    """Return a copy of Hydra's configuration that launches these points.

    Under Ray each task gets the share of a GPU that the largest of the points needs.
    """
    master = deepcopy(grid.master)
    if launcher_name(grid.master) == "RayLauncher":
        share = max(grid.points[number].base.gpu_share for number in numbers)
        with open_dict(master):
            master.hydra.launcher.ray.remote.num_gpus = share if _has_gpus(grid) else 0
    return master


def _has_gpus(grid: Grid) -> bool:
    """Return whether Ray's workers have GPUs; those of a cluster do unless configured otherwise."""
    import torch

    if grid.config.hardware.device not in ("auto", "cuda"):
        return False
    address = grid.master.hydra.launcher.ray.init.get("address")
    return address is not None or torch.cuda.device_count() > 0


def call_launcher(
    grid: Grid,
    task: Callable[[DictConfig], object],
    parent_run_id: str,
    numbers: Sequence[int],
    first_job: int,
) -> Sequence[JobReturn]:
    """Call the launcher once, with a job for each of ``numbers``. It may raise anything."""
    master = master_for(grid, numbers)  # a copy, as Hydra makes a part of it read-only
    HydraConfig.instance().set_config(master)
    launcher = Plugins.instance().instantiate_launcher(
        config=master,
        hydra_context=HydraContext(
            config_loader=grid.hydra.config_loader, callbacks=Callbacks(master)
        ),
        task_function=task,
    )
    # All points go to the experiment of the sweep, also those on another data set.
    of_sweep = [
        f"tracking.parent_run_id={parent_run_id}",
        f"tracking.experiment={quoted(grid.config.tracking.experiment)}",
    ]
    points = [[*grid.overrides[number], *of_sweep] for number in numbers]
    return launcher.launch(points, initial_job_idx=first_job)
