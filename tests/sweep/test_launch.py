"""What became of the points of a sweep, whatever their launcher made of it.

The launchers here are stubs that leave behind what real ones do when a process is killed;
tests/sweep/test_launchers.py has the real ones.
"""

import gc
import logging
import pickle
import weakref
from collections.abc import Callable, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from mlflow import MlflowClient
from omegaconf import DictConfig

from pipeline.sweep import launch
from pipeline.sweep import task as progress
from pipeline.sweep.clock import Clock
from pipeline.sweep.grid import Grid
from pipeline.sweep.launch import Launched
from pipeline.sweep.resume import KILLED
from pipeline.sweep.task import Reported
from pipeline.tracking import attempts, reader, writer
from tests.conftest import NewStore
from tests.points import QUIET

KEYS = ["a", "b", "c", "d"]  # the fingerprints of the points


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, new_store: NewStore) -> Path:
    """The output folder of all sweeps here."""
    folder = tmp_path_factory.mktemp("launch")
    new_store(folder)
    return folder


@pytest.fixture(scope="module")
def composed(folder: Path) -> Grid:
    return four_points(folder)


@pytest.fixture
def grid(composed: Grid) -> Grid:
    """A copy, whose launcher and settings a test may change."""
    grid = copy(composed)
    grid.config = deepcopy(composed.config)
    return grid


def four_points(folder: Path, *overrides: str) -> Grid:
    words = ("arch=colbert", "seed=0,1,2,3", f"output_dir={folder}")
    return Grid([*words, *QUIET, *overrides])


@dataclass
class Model:
    """As large as a GPU, and in a cycle as models and trainers are."""

    trainer: object = None


class OutOfMemoryError(Exception):
    """Can't be unpickled, as it takes two values."""

    def __init__(self, wanted: int, free: int) -> None:
        super().__init__(f"{wanted} bytes of {free}")


@pytest.mark.slow
def test_a_failed_point_leaves_nothing_but_a_line(
    grid: Grid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models: list[weakref.ref[Model]] = []

    def job(config: DictConfig) -> str:
        model = Model()
        model.trainer = model
        models.append(weakref.ref(model))
        raise OutOfMemoryError(config.seed + 2, 1)

    monkeypatch.setattr(progress, "job", job)
    gc.disable()  # what is left must not depend on when it happens to run
    try:
        results = launch.call_launcher(
            grid, Reported(2, str(tmp_path), Clock()), "0" * 32, [0, 1], 0
        )
        assert [model() for model in models] == [None, None]
    finally:
        gc.enable()
    for seed, result in enumerate(results):
        error = pickle.loads(pickle.dumps(result._return_value))
        assert str(error) == f"OutOfMemoryError: {seed + 2} bytes of 1"
        assert error.__cause__ is error.__context__ is None


@dataclass
class Launcher:
    """Stands for ``launch.call_launcher``: ``workers`` points at a time, which all go with one.

    ``kills`` are the points whose process dies, ``fails`` those that raise, ``recorded`` says
    under which fingerprint a worker records a point, if not its own.
    """

    workers: int = 2
    kills: Sequence[int] = ()
    fails: Sequence[int] = ()
    recorded: dict[int, str] = field(default_factory=dict)
    goes_on: Callable[[str], None] | None = None  # with a run whose neighbour has died
    calls: list[list[int]] = field(default_factory=list)
    tasks: list[Reported] = field(default_factory=list)

    def __call__(
        self, grid: Grid, task: Reported, parent: str, numbers: Sequence[int], first: int
    ) -> list[JobReturn]:
        self.calls.append(list(numbers))
        self.tasks.append(task)
        config = replace(grid.config.tracking, parent_run_id=parent)
        client = MlflowClient(config.uri)
        results = []
        for start in range(0, len(numbers), self.workers):
            runs: dict[int, str] = {}
            for number in numbers[start : start + self.workers]:
                tags = {"fingerprint": self.recorded.get(number, KEYS[number])}
                with writer.run(config, f"point{number}", tags) as run:
                    runs[number] = run.run_id
            if dead := set(runs) & set(self.kills):
                for number, run_id in runs.items():
                    client.update_run(run_id, status="RUNNING")
                    if number in dead or self.goes_on is None:
                        client.set_tag(run_id, "pid_started", "1")  # another process has the pid
                    else:
                        self.goes_on(run_id)
                raise RuntimeError("a worker was killed")
            for number, run_id in runs.items():
                failed = number in self.fails
                if failed:
                    attempts.end(config, run_id, "FAILED", "no luck")
                status = JobStatus.FAILED if failed else JobStatus.COMPLETED
                results.append(JobReturn(status=status, _return_value=run_id))
                if failed:
                    results[-1].return_value = RuntimeError("no luck")
        return results


@pytest.fixture
def launched(grid: Grid, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Launched]:
    """Launch points of the grid as a new sweep: ``launched(launcher, numbers)``."""

    def of(stub: object, numbers: Sequence[int] = range(4), fail_fast: bool = False) -> Launched:
        monkeypatch.setattr(launch, "call_launcher", stub)
        grid.config.fail_fast = fail_fast
        with writer.run(grid.config.tracking, "sweep", {"kind": "sweep"}) as parent:
            result = launch.launch(grid, KEYS, parent.run_id, numbers, Clock())
        attempts = reader.read_attempts(grid.config.tracking, parent.run_id)
        assert "RUNNING" not in {run.status for run in attempts}
        return result

    return of


@pytest.mark.slow
def test_one_point_that_always_dies_costs_only_itself(launched: Callable[..., Launched]) -> None:
    launcher = Launcher(kills=[1])
    result = launched(launcher)
    assert result.finished == {0: "a", 2: "c", 3: "d"}
    assert result.failures == {1: KILLED}
    assert launcher.calls == [[0, 1, 2, 3], [0], [1], [2], [3]]


@pytest.mark.slow
def test_several_points_that_always_die(launched: Callable[..., Launched]) -> None:
    launcher = Launcher(kills=[0, 2], fails=[3], workers=1)
    result = launched(launcher)
    assert set(result.finished) == {1}
    assert result.failures == {0: KILLED, 2: KILLED, 3: "no luck"}
    assert launcher.calls == [[0, 1, 2, 3], [0], [1], [2], [3]]


@pytest.mark.slow
def test_what_ends_while_it_is_waited_for_has_finished(
    launched: Callable[..., Launched], grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[str] = []

    def wait(seconds: float) -> None:
        attempts.end(grid.config.tracking, left.pop(), "FINISHED", "")

    monkeypatch.setattr("time.sleep", wait)
    launcher = Launcher(kills=[1], goes_on=left.append)
    assert set(launched(launcher).finished) == {0, 2, 3}
    assert launcher.calls == [[0, 1, 2, 3], [1], [2], [3]]


def test_what_a_launcher_reports_is_finished_whatever_its_fingerprint(
    launched: Callable[..., Launched], caplog: pytest.LogCaptureFixture
) -> None:
    launcher = Launcher(recorded={1: "other"})
    result = launched(launcher)
    assert result == Launched({0: "a", 1: "other", 2: "c", 3: "d"}, {})
    assert launcher.calls == [[0, 1, 2, 3]]
    warnings = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert warnings[0].startswith("recorded under another fingerprint")


def test_fail_fast_ends_with_a_killed_point(launched: Callable[..., Launched]) -> None:
    launcher = Launcher(kills=[1])
    assert launched(launcher, fail_fast=True) == Launched({0: "a"}, {1: KILLED})
    assert launcher.calls == [[0], [1]]


@pytest.mark.parametrize("fail_fast", [False, True])
def test_a_launcher_that_never_starts_says_why(
    fail_fast: bool, launched: Callable[..., Launched]
) -> None:
    def no_slurm(*of: object) -> list[JobReturn]:
        raise FileNotFoundError("there is no sbatch")

    finished, failures = launched(no_slurm, fail_fast=fail_fast)
    assert not finished
    why = "FileNotFoundError: there is no sbatch"
    assert failures == ({0: why} if fail_fast else dict.fromkeys(range(4), why))


@pytest.mark.slow
def test_a_resumed_sweep_gives_each_point_the_same_threads(
    grid: Grid, launched: Callable[..., Launched], folder: Path
) -> None:
    joblib = four_points(folder, "hydra/launcher=joblib", "hydra.launcher.n_jobs=3")
    grid.master = joblib.master
    launcher = Launcher()
    for pending in ([0, 1, 2, 3], [3]):
        launched(launcher, pending)
    assert [task.at_once for task in launcher.tasks] == [3, 3]


def test_each_task_of_ray_gets_the_gpu_share_of_its_points(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [f"base.gpu_share={share} run_name=p{n}" for n, share in enumerate((0.25, 1, 0.25))]
    shares = f"grid={points}"
    grid = Grid(["hydra/launcher=ray", *QUIET, "arch=colbert", shares])
    monkeypatch.setattr(launch, "_has_gpus", lambda grid: True)
    assert launch._groups(grid, [0, 1, 2]) == [[0, 2], [1]]
    # The last point is launched again.
    for numbers, share in (([0, 2], 0.25), ([1], 1.0), ([2], 0.25)):
        master = launch.master_for(grid, numbers)
        assert master.hydra.launcher.ray.remote.num_gpus == share
        # As each call of a launcher does; a part of it is read-only then.
        HydraConfig.instance().set_config(master)
    monkeypatch.setattr(launch, "_has_gpus", lambda grid: False)
    assert launch.master_for(grid, [1]).hydra.launcher.ray.remote.num_gpus == 0
