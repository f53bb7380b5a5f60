"""Which points of a sweep are timed after it, and where."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from pipeline.config.stages import TrackingConfig
from pipeline.experiment import latency as of_points
from pipeline.sweep import latency
from pipeline.sweep.grid import Grid
from pipeline.sweep.latency import Timing, time_points, untimed
from pipeline.tracking import writer
from tests.conftest import NewStore
from tests.points import compose_config


@pytest.fixture
def config(tmp_path: Path, new_store: NewStore) -> TrackingConfig:
    return new_store(tmp_path / "outputs")


@pytest.mark.slow
def test_finished_points_without_timings_are_to_be_timed(config: TrackingConfig) -> None:
    """Also those of an earlier attempt at the sweep, whose timing was interrupted."""
    point = compose_config(["arch=colbert"])
    never = compose_config(["arch=colbert", "latency.enabled=false"])
    points = {"a": point, "b": point, "c": never, "d": point}
    runs = {}
    with writer.run(config, "sweep", {"kind": "sweep"}) as parent:
        child = replace(config, parent_run_id=parent.run_id)
        for key in points:
            tags = {"kind": "point", "fingerprint": key}
            try:
                with writer.run(child, key, tags) as run:
                    runs[key] = run.run_id
                    if key == "d":
                        raise RuntimeError("no luck")
            except RuntimeError:
                pass
    writer.reopen(config, runs["b"]).log_metrics({"latency/fts_5/total_p50_ms": 1.0})
    found = untimed(config, parent.run_id, points)
    assert list(found) == [runs["a"]]
    assert found[runs["a"]].tracking.parent_run_id == parent.run_id
    writer.reopen(config, runs["a"]).log_metrics({"latency/fts_5/total_p50_ms": 1.0})
    assert untimed(config, parent.run_id, points) == {}


def grid_of(launcher: str) -> Grid:
    master = OmegaConf.create({"hydra": {"launcher": {"_target_": f"hydra_plugins.{launcher}"}}})
    return cast(Grid, SimpleNamespace(master=master, points=[None] * 3))


@pytest.mark.parametrize(
    ("launcher", "here"),
    [
        ("BasicLauncher", True),
        ("JoblibLauncher", True),
        ("LocalLauncher", True),
        ("SlurmLauncher", False),
        ("RayLauncher", False),
    ],
)
def test_one_process_times_all_points(
    launcher: str, here: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = {"r" * 32: compose_config(["arch=colbert"])}
    timed: list[object] = []
    jobs: list[object] = []

    def call(
        grid: Grid, task: Timing, parent: str, numbers: Sequence[int], first: int
    ) -> list[JobReturn]:
        jobs.append((task, list(numbers)))
        done = JobReturn()
        done.status, done.return_value = JobStatus.FAILED, RuntimeError("no GPU")
        return [done]

    monkeypatch.setattr(of_points, "time_recorded", timed.append)
    monkeypatch.setattr(latency, "call_launcher", call)
    if here:
        time_points(grid_of(launcher), "p" * 32, points)
        assert (timed, jobs) == ([points], [])
    else:
        with pytest.raises(RuntimeError, match="no GPU"):
            time_points(grid_of(launcher), "p" * 32, points)
        assert (timed, jobs) == ([], [(Timing(points), [0])])
