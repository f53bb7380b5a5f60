"""The tracking store: made where needed, and errors in one line."""

import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline.config.stages import TrackingConfig, sqlite_path
from pipeline.records import InputError
from pipeline.tracking import store, writer
from pipeline.tracking.store import check, open_experiment
from tests.servers import until


@pytest.mark.slow
def test_open_experiment_creates_folder_database_and_experiment(tmp_path: Path) -> None:
    fresh = TrackingConfig(uri=f"sqlite:///{tmp_path}/a b#c/deep/mlflow.db", experiment="first")
    experiment_id = open_experiment(fresh)
    assert open_experiment(fresh) == experiment_id
    experiment = MlflowClient(fresh.uri).get_experiment(experiment_id)
    assert "vector_reranked" in experiment.tags["mlflow.note.content"]
    assert experiment.artifact_location.startswith("file:///")
    assert experiment.artifact_location.endswith("/deep/artifacts")


def test_a_given_artifact_location_is_used(config: TrackingConfig, tmp_path: Path) -> None:
    config.artifact_location = str(tmp_path / "elsewhere")
    with writer.run(config, "point", {}) as run:
        run.log_text("hello", "notes/hello.txt")
    assert [path.name for path in (tmp_path / "elsewhere").rglob("*.txt")] == ["hello.txt"]


def test_a_deleted_experiment_is_named(config: TrackingConfig) -> None:
    MlflowClient(config.uri).delete_experiment(open_experiment(config))
    with pytest.raises(InputError, match=r"tracking\.experiment=test_a_deleted"):
        open_experiment(config)
    with pytest.raises(InputError, match=r"tracking\.experiment=test_a_deleted"):
        check(config)


def test_a_check_creates_nothing(config: TrackingConfig, tmp_path: Path) -> None:
    absent = TrackingConfig(uri=f"sqlite:///{tmp_path}/deep/mlflow.db", experiment="e")
    check(absent)
    assert not (tmp_path / "deep").exists()
    check(config)
    assert MlflowClient(config.uri).get_experiment_by_name(config.experiment) is None


@pytest.fixture
def locked(config: TrackingConfig) -> Iterator[sqlite3.Connection]:
    """A connection that keeps all others from the database until it rolls back."""
    open_experiment(config)
    path = sqlite_path(config.uri)
    assert path is not None
    with closing(sqlite3.connect(path)) as database:
        database.execute("BEGIN EXCLUSIVE")
        yield database


@pytest.mark.parametrize("use", [open_experiment, check])
def test_a_locked_database_is_waited_for(
    use: Callable[[TrackingConfig], object],
    config: TrackingConfig,
    locked: sqlite3.Connection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(use, config)
        try:
            until(lambda: "mlflow.db, which another process has locked" in caplog.text)
            assert not waits.done()
        finally:
            locked.rollback()
        waits.result(60)
    assert caplog.text.count("waiting for") == 1


def test_a_database_that_stays_locked_is_one_line(
    config: TrackingConfig, locked: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "PATIENCE", 0)
    with pytest.raises(RuntimeError, match=r"^tracking\.uri=.* database is locked$"):
        open_experiment(config)


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("http://127.0.0.1:9", "does not answer"),
        ("http://me:hunter2@127.0.0.1:9", "does not answer"),
        ("nope://x", "nope"),
        ("sqlite:///{tmp}", "unable to open"),
        ("sqlite:///{tmp}/text.db", "not a database"),
        ("sqlite:///{tmp}/text.db/x/mlflow.db", "Not a directory"),
        ("file://{tmp}/mlruns", "file"),
    ],
)
def test_a_wrong_address_is_one_line(uri: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("this is not a database, " * 100)
    before = dict(os.environ)
    config = TrackingConfig(uri=uri.format(tmp=tmp_path), experiment="e")
    with pytest.raises(InputError, match=reason) as caught:
        open_experiment(config)
    message = str(caught.value)
    assert message.startswith("tracking.uri=")
    assert "\n" not in message
    assert "hunter2" not in message
    assert dict(os.environ) == before
