"""The tracking store: made where needed, and errors in one line."""

import os
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline.config.stages import TrackingConfig
from pipeline.records import InputError
from pipeline.tracking import writer
from pipeline.tracking.store import check, open_experiment


@pytest.mark.slow
def test_open_experiment_creates_folder_database_and_experiment(tmp_path: Path) -> None:
    store = TrackingConfig(uri=f"sqlite:///{tmp_path}/a b#c/deep/mlflow.db", experiment="first")
    experiment_id = open_experiment(store)
    assert open_experiment(store) == experiment_id
    experiment = MlflowClient(store.uri).get_experiment(experiment_id)
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
