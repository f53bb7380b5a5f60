"""What became of the points of a sweep, whatever their launcher made of it.

The launchers here are stubs that leave behind what real ones do when a process is killed;
tests/test_launchers.py has the real ones.
"""

import gc
import pickle
import weakref
from dataclasses import dataclass
from pathlib import Path

import pytest
from omegaconf import DictConfig

from pipeline import launch, progress
from pipeline.grid import Grid
from pipeline.progress import Reported


@pytest.fixture
def grid(tmp_path: Path) -> Grid:
    """Four points."""
    return four_points(tmp_path)


def four_points(folder: Path, *overrides: str) -> Grid:
    words = ("arch=colbert", "seed=0,1,2,3", "tracking.experiment=sweeps", f"output_dir={folder}")
    return Grid([*words, "hydra/job_logging=none", "hydra/hydra_logging=none", *overrides])


@dataclass
class Model:
    """As large as a GPU, and in a cycle as models and trainers are."""

    trainer: object = None


class OutOfMemoryError(Exception):
    """Can't be unpickled, as it takes two values."""

    def __init__(self, wanted: int, free: int) -> None:
        super().__init__(f"{wanted} bytes of {free}")


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
        results = launch._launch(grid, Reported(2, str(tmp_path)), "0" * 32, [0, 1], 0)
        results = list(results.values()) if isinstance(results, dict) else results
        assert [model() for model in models] == [None, None]
    finally:
        gc.enable()
    for seed, result in enumerate(results):
        error = pickle.loads(pickle.dumps(result._return_value))
        assert str(error) == f"OutOfMemoryError: {seed + 2} bytes of 1"
        assert error.__cause__ is error.__context__ is None


def test_a_resumed_sweep_gives_each_point_the_same_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = four_points(tmp_path, "hydra/launcher=joblib", "hydra.launcher.n_jobs=3")
    tasks: list[Reported] = []
    monkeypatch.setattr(launch, "_launch", lambda grid, task, *rest: tasks.append(task) or {})
    monkeypatch.setattr(launch, "_end_lost", lambda *of: None)
    monkeypatch.setattr(launch, "_finished", lambda *of: set("abcd"))
    for pending in ([0, 1, 2, 3], [3]):
        launch.launch(grid, "abcd", "0" * 32, pending)
    assert [task.at_once for task in tasks] == [3, 3]
