"""Going on with a sweep: fingerprints, lost runs, attempts, and the real command line."""

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline.commands import clean_cache
from pipeline.config.stages import TrackingConfig
from pipeline.records import Refused
from pipeline.sweep import resume
from pipeline.tracking import attempts, reader, writer
from pipeline.tracking.liveness import process_tags
from pipeline.tracking.store import open_experiment
from tests.conftest import NewStore

POINTS = ["a" * 16, "b" * 16]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, new_store: NewStore) -> TrackingConfig:
    return new_store(tmp_path_factory.mktemp("resume"))


@pytest.fixture
def config(store: TrackingConfig, request: pytest.FixtureRequest) -> TrackingConfig:
    return replace(store, experiment=request.node.name)


@pytest.fixture(scope="module")
def dead() -> Mapping[str, str]:
    """The tags of a process that has ended."""
    program = "from pipeline.tracking.liveness import process_tags; print(process_tags())"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    tags: dict[str, str] = eval(done.stdout)
    return tags


def left_running(config: TrackingConfig, name: str, tags: Mapping[str, str]) -> str:
    """A run as a killed process leaves it."""
    experiment = open_experiment(config)
    client = MlflowClient(config.uri)
    parent = {"mlflow.parentRunId": config.parent_run_id} if config.parent_run_id else {}
    run = client.create_run(experiment, run_name=name, tags={**parent, **tags})
    return str(run.info.run_id)


def sweep_tags(points: list[str]) -> dict[str, str]:
    return {"kind": "sweep", "fingerprint": resume.sweep_fingerprint(points)}


def point(config: TrackingConfig, parent: str, fingerprint: str) -> str:
    """A finished point."""
    child = replace(config, parent_run_id=parent)
    with writer.run(child, "point", {"kind": "point", "fingerprint": fingerprint}) as run:
        return run.run_id


def test_nothing_to_go_on_with(config: TrackingConfig, tmp_path: Path) -> None:
    nowhere = replace(config, uri=f"sqlite:///{tmp_path}/none/mlflow.db")
    assert resume.find(nowhere, POINTS) == resume.Earlier()
    assert list(tmp_path.iterdir()) == []
    assert resume.find(config, POINTS) == resume.Earlier()
    with writer.run(config, "sweep", sweep_tags(POINTS[:1])):
        pass
    assert resume.find(config, POINTS) == resume.Earlier()


def test_what_a_dead_process_left_is_killed_and_the_rest_is_kept(
    config: TrackingConfig, dead: Mapping[str, str]
) -> None:
    parent = left_running(config, "sweep", {**dead, **sweep_tags(POINTS)})
    done = point(config, parent, POINTS[0])
    child = replace(config, parent_run_id=parent)
    left_running(child, "point", {**dead, "fingerprint": POINTS[1]})
    earlier = resume.find(config, POINTS[::-1])
    assert earlier == resume.Earlier(parent, frozenset(POINTS[:1]), {POINTS[1]: 1})
    lost = [run for run in reader.read_attempts(config, parent) if run.run_id != done]
    assert [run.status for run in lost] == ["KILLED"]
    assert dead["pid"] in lost[0].tags["failure"]
    status = MlflowClient(config.uri).get_run(parent).info.status
    assert status == "KILLED"

    with writer.run(config, "sweep", sweep_tags(POINTS), parent) as run:
        assert run.run_id == parent
        again = point(config, parent, POINTS[1])
    found = MlflowClient(config.uri).get_run(parent)
    assert found.info.status == "FINISHED"
    assert found.data.tags["pid"] == str(os.getpid())
    assert "failure" not in found.data.tags
    assert [run.run_id for run in reader.read_runs(config, parent)] == [done, again]
    assert resume.find(config, POINTS) == resume.Earlier(parent, frozenset(POINTS))


@pytest.mark.slow
def test_what_has_lost_its_process_most_often_comes_last(
    config: TrackingConfig, dead: Mapping[str, str]
) -> None:
    keys = list("abcdb")
    parent = left_running(config, "sweep", {**dead, **sweep_tags(keys)})
    child = replace(config, parent_run_id=parent)
    for key, failure in [("a", resume.KILLED), ("a", resume.KILLED), ("c", "a mistake")]:
        lost = left_running(child, "point", {"fingerprint": key})
        attempts.end(config, lost, "FAILED", failure)
    left_running(child, "point", {**dead, "fingerprint": "b"})
    point(config, parent, "d")
    earlier = resume.find(config, keys)
    assert earlier.killed == {"a": 2, "b": 1}
    assert [keys[number] for number in earlier.pending(keys)] == ["c", "b", "a"]
    assert resume.Earlier().pending(keys) == [0, 1, 2, 3]


@pytest.mark.slow
def test_whatever_a_dead_process_left_is_killed(
    config: TrackingConfig, dead: Mapping[str, str]
) -> None:
    single = left_running(config, "single", {**dead, "stage.index": "abc"})
    sweep = left_running(config, "sweep", {**dead, **sweep_tags(["of other code"])})
    child = replace(config, parent_run_id=sweep)
    of_sweep = left_running(child, "point", {**dead, "fingerprint": "of other code"})
    foreign = left_running(config, "of another tool", {})
    client = MlflowClient(config.uri)
    with writer.run(config, "alive", {}) as alive:
        assert "index/abc" in reader.used_stages(config)
        assert resume.find(config, POINTS) == resume.Earlier()
        ended = [client.get_run(run_id).info.status for run_id in (single, sweep, of_sweep)]
        assert ended == ["KILLED"] * 3
        running = {run.run_id for run in reader.read_running(config)}
        assert running == {foreign, alive.run_id}
    assert "index/abc" not in reader.used_stages(config)


def test_a_sweep_that_lost_only_its_end_is_finished(
    config: TrackingConfig, dead: Mapping[str, str]
) -> None:
    parent = left_running(config, "sweep", {**dead, **sweep_tags(POINTS)})
    for fingerprint in POINTS:
        point(config, parent, fingerprint)
    assert resume.find(config, POINTS).finished == set(POINTS)
    assert MlflowClient(config.uri).get_run(parent).info.status == "FINISHED"


@pytest.mark.slow
def test_a_living_process_is_left_alone(config: TrackingConfig, dead: Mapping[str, str]) -> None:
    with writer.run(config, "sweep", sweep_tags(POINTS)) as parent:
        running = reader.any_alive(config)
        assert running is not None
        assert running.run_id == parent.run_id
        with pytest.raises(Refused, match=f"is running: pid {os.getpid()} on .*force=true"):
            resume.find(config, POINTS)
    # another host's process cannot be asked
    left_running(config, "sweep", {**dead, "host": "elsewhere", **sweep_tags(POINTS)})
    with pytest.raises(Refused, match="on elsewhere"):
        resume.find(config, POINTS)
    uri = f"tracking.uri={config.uri}"
    with pytest.raises(Refused, match=r"sweep is running, pid \d+ on elsewhere"):
        clean_cache.main([uri])


def test_a_point_that_is_queued_again_ends_dead_attempts(
    config: TrackingConfig, dead: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with writer.run(config, "sweep", {}) as parent:
        child = replace(config, parent_run_id=parent.run_id)
        of_point = {**dead, "fingerprint": "f"}
        left_running(child, "here", of_point)
        silent = {"host": "elsewhere", "heartbeat": "1"}
        left_running(child, "gone elsewhere", {**of_point, **silent})
        requeued = {**process_tags(), "host": "elsewhere", "fingerprint": "f"}  # the same job
        left_running(child, "before it was queued again", requeued)
        left_running(child, "this process", {**of_point, **process_tags()})
        assert attempts.earlier_attempt(child, "f") is None
        status = {run.status for run in reader.read_attempts(config, parent.run_id)}
    assert status == {"KILLED"}


@pytest.mark.slow
def test_a_point_that_runs_elsewhere_is_waited_for(
    config: TrackingConfig,
    dead: Mapping[str, str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setattr("pipeline.tracking.attempts.POLL", 0.05)
    with writer.run(config, "sweep", {}) as parent:
        child = replace(config, parent_run_id=parent.run_id)
        elsewhere = {**process_tags(), "host": "elsewhere", "fingerprint": "f"}
        other = left_running(child, "alive", elsewhere)
        timer = threading.Timer(1, lambda: attempts.end(config, other, "FINISHED", ""))
        timer.start()
        assert attempts.earlier_attempt(child, "f") == other
        timer.join()
    assert sum("on elsewhere" in said for said in caplog.messages) == 1


@pytest.mark.slow
def test_each_point_is_shown_once(config: TrackingConfig) -> None:
    with writer.run(config, "sweep", {"kind": "sweep"}) as parent:
        child = replace(config, parent_run_id=parent.run_id)
        ids = []
        for fingerprint, fails in [("a", True), ("a", False), ("a", True), ("b", True)] * 2:
            tags = {"fingerprint": fingerprint}
            expected = pytest.raises(ValueError, match="x") if fails else nullcontext()
            with expected, writer.run(child, "point", tags) as run:
                ids.append(run.run_id)
                if fails:
                    raise ValueError("x")
    shown = reader.read_runs(config, parent.run_id)
    assert {run.run_id for run in shown} == {ids[5], ids[7]}
    assert len(reader.read_attempts(config, parent.run_id)) == 8
