"""The same sweep through Hydra's other launchers, in their local modes, and a worker that dies."""

import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig
from joblib.externals.loky import get_reusable_executor  # type: ignore[import-untyped]
from mlflow import MlflowClient
from omegaconf import OmegaConf

from pipeline.config.stages import TrackingConfig
from pipeline.infra.processes import cores
from pipeline.sweep import launch
from pipeline.sweep import run as sweep
from pipeline.sweep.grid import Grid
from pipeline.sweep.launch import at_once
from pipeline.sweep.resume import KILLED
from pipeline.tracking import reader
from tests.conftest import Prepare
from tests.points import CHILD, QUIET, TINY, tracked

POINT = (*TINY, "hardware.threads=1", "base=modernbert_tiny", "train.max_steps=10")
SWEEP = (*POINT, "arch=cross_encoder,colbert")
JOBLIB = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
LOCAL = {
    "submitit": ("hydra/launcher=submitit_local", "hydra.launcher.timeout_min=10"),
    "ray": (
        "hydra/launcher=ray",
        "+hydra.launcher.ray.remote.num_cpus=1",
        "+hydra.launcher.ray.init.include_dashboard=false",
        "+hydra.launcher.ray.init.num_cpus=1",  # one worker for both points
    ),
}


@pytest.fixture(scope="module")
def expected(
    tmp_path_factory: pytest.TempPathFactory, prepare: Prepare
) -> dict[str, dict[str, float]]:
    """What comes out of the sweep through the basic launcher, in this process."""
    folder = tmp_path_factory.mktemp("basic")
    sweep.run([*SWEEP, *QUIET, f"output_dir={prepare(folder, *POINT)}"])
    return quality(folder)


def quality(folder: Path) -> dict[str, dict[str, float]]:
    """Name of a point -> its figures; asserts that each has finished once."""
    config = tracked(folder)
    parent = reader.latest_sweep(config)
    assert parent is not None
    attempts = reader.read_attempts(config, parent)
    finished = [run for run in attempts if run.status == "FINISHED"]
    assert len({run.name for run in finished}) == len(finished)
    return {
        run.name: {name: value for name, value in run.metrics.items() if "/ndcg_at" in name}
        for run in finished
    }


@pytest.fixture
def own_log() -> Iterator[None]:
    """Put back the handlers of the tests' log, which Hydra replaces by those of a sweep."""
    loggers = [logging.getLogger(), logging.getLogger("pipeline")]
    before = [(logger, logger.handlers[:], logger.level) for logger in loggers]
    yield
    for logger, handlers, level in before:
        logger.handlers[:] = handlers
        logger.setLevel(level)


@pytest.fixture
def ray_ends() -> Iterator[None]:
    """End Ray's processes, which otherwise live as long as the process that has started them."""
    yield
    if "ray" in sys.modules:
        sys.modules["ray"].shutdown()


@pytest.mark.slow
@pytest.mark.usefixtures("own_log", "ray_ends")
@pytest.mark.parametrize("launcher", list(LOCAL))
def test_a_launcher_gives_what_the_basic_one_gives(
    launcher: str,
    expected: dict[str, dict[str, float]],
    prepare: Prepare,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The points run in processes of their own, the sweep in this one."""
    monkeypatch.setenv("PYTHONPATH", CHILD["PYTHONPATH"])
    sweep.run([*SWEEP, *LOCAL[launcher], f"output_dir={prepare(tmp_path, *POINT)}"])
    printed, logged = capfd.readouterr()
    assert "2 of 2 points" in printed
    assert quality(tmp_path) == expected
    assert "Traceback" not in logged
    for name in expected:  # each point has its own log
        (log,) = tmp_path.glob(f"outputs/sweeps/*/*_{name}/pipeline.log")
        assert re.search(rf"pipeline.experiment.recipe: {name} on ", log.read_text())


@pytest.fixture
def loky_ends() -> Iterator[None]:
    """End joblib's processes, which otherwise wait for more to do."""
    yield
    get_reusable_executor().shutdown(wait=True, kill_workers=True)


@pytest.mark.slow
@pytest.mark.usefixtures("own_log", "loky_ends")
def test_points_of_a_killed_worker_are_run_again(
    expected: dict[str, dict[str, float]],
    prepare: Prepare,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The sweep runs in this process, its points in two workers of which one is killed."""
    monkeypatch.setenv("PYTHONPATH", CHILD["PYTHONPATH"])
    output = f"output_dir={prepare(tmp_path, *POINT)}"
    config = tracked(tmp_path)
    with ThreadPoolExecutor(1) as thread:
        killed = thread.submit(kill_a_worker, config)
        sweep.run([*SWEEP, *JOBLIB, output])
    victim = killed.result()
    printed, errors = capfd.readouterr()
    assert "the launcher gave up: TerminatedWorkerError" in errors
    assert re.search(f"{victim.name}.* did not finish", errors)
    assert "2 of 2 points" in printed
    lost = [run for run in children(config) if run.run_id == victim.run_id]
    assert [run.status for run in lost] == ["FAILED"]
    assert lost[0].tags["failure"] == KILLED
    assert quality(tmp_path) == expected


def kill_a_worker(config: TrackingConfig) -> reader.RunRecord:
    """Kill the process of the first point that is found running."""
    for _ in range(1000):
        running = (run for run in children(config) if run.status == "RUNNING" and run.params)
        if (victim := next(running, None)) is not None:
            os.kill(int(victim.tags["pid"]), signal.SIGKILL)
            return victim
        time.sleep(0.3)
    raise AssertionError("no point was running")


def children(config: TrackingConfig) -> list[reader.RunRecord]:
    """All attempts of the newest sweep, also while nothing has finished."""
    client = MlflowClient(config.uri)
    experiment = client.get_experiment_by_name(config.experiment)
    if experiment is None:
        return []
    sweeps = client.search_runs([experiment.experiment_id], "tags.kind = 'sweep'")
    return reader.read_attempts(config, sweeps[0].info.run_id) if sweeps else []


def test_how_many_points_share_the_machine() -> None:
    def of(**launcher: object) -> int:
        return at_once(OmegaConf.create({"hydra": {"launcher": launcher}}), 6)

    assert of(_target_="x.BasicLauncher") == 1
    assert of(_target_="x.JoblibLauncher", n_jobs=4) == 4
    assert of(_target_="x.JoblibLauncher", n_jobs=8) == 6
    assert of(_target_="x.JoblibLauncher", n_jobs=-1) == min(6, cores())
    assert of(_target_="x.LocalLauncher") == 6
    assert of(_target_="x.SlurmLauncher") == 1


@pytest.mark.slow
def test_the_launcher_is_no_part_of_a_point() -> None:
    grid = Grid(["arch=colbert,cross_encoder", *JOBLIB])
    assert grid.overrides == [["arch=colbert"], ["arch=cross_encoder"]]
    assert grid.master.hydra.launcher.n_jobs == 2
    slurm = Grid(["arch=colbert", "hydra/launcher=slurm"]).master.hydra.launcher
    assert str(slurm._target_).endswith("SlurmLauncher")
    assert slurm.max_num_timeout > 0


PLACES = """
import os, sys, time
from pathlib import Path
from pipeline.sweep.places import take_share
take_share(Path(sys.argv[1]), 2)
take_share(Path(sys.argv[1]), 2)
import torch
print(os.environ["CUDA_VISIBLE_DEVICES"], torch.get_num_threads(), flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_processes_that_share_a_machine_take_one_gpu_each(tmp_path: Path) -> None:
    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", PLACES, str(tmp_path)],
            env=os.environ | {"CUDA_VISIBLE_DEVICES": "4,7"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def told(process: subprocess.Popen[str]) -> list[str]:
        assert process.stdout is not None
        return process.stdout.readline().split()

    first, second = start(), start()
    threads = str(max(1, cores() // 2))
    place = told(first)
    assert sorted([place, told(second)]) == [["4", threads], ["7", threads]]
    first.kill()
    first.wait()
    third = start()  # takes the place of the first
    assert told(third) == place
    for process in (second, third):
        process.communicate()


def test_each_task_of_ray_gets_the_gpu_share_of_its_points(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [f"base.gpu_share={share} seed={n}" for n, share in enumerate((0.25, 1, 0.25))]
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
