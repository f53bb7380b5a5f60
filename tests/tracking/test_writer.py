"""Tracking against a real MLflow store on SQLite."""

import json
import os
import signal
import sys
import time
import warnings
from dataclasses import replace
from math import isnan, nan
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from pipeline.config.stages import TrackingConfig
from pipeline.records import InputError
from pipeline.tracking import artifacts, reader, writer
from pipeline.tracking.store import open_experiment


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TrackingConfig:
    """One database for all tests (creating it takes a second), in a folder with an odd name."""
    folder = tmp_path_factory.mktemp("store") / "a b#c"
    return TrackingConfig(uri=f"sqlite:///{folder}/deep/mlflow.db", experiment="first")


@pytest.fixture
def config(store: TrackingConfig, request: pytest.FixtureRequest) -> TrackingConfig:
    """An experiment of its own for every test."""
    return replace(store, experiment=request.node.name)


def client(config: TrackingConfig) -> MlflowClient:
    return MlflowClient(tracking_uri=config.uri)


def test_open_experiment_creates_folder_database_and_experiment(store: TrackingConfig) -> None:
    experiment_id = open_experiment(store)
    assert open_experiment(store) == experiment_id
    experiment = client(store).get_experiment(experiment_id)
    assert "vector_reranked" in experiment.tags["mlflow.note.content"]
    assert experiment.artifact_location.startswith("file:///")
    assert experiment.artifact_location.endswith("/deep/artifacts")


def test_a_given_artifact_location_is_used(config: TrackingConfig, tmp_path: Path) -> None:
    config.artifact_location = str(tmp_path / "elsewhere")
    with writer.run(config, "point", {}) as run:
        run.log_text("hello", "notes/hello.txt")
    assert [path.name for path in (tmp_path / "elsewhere").rglob("*.txt")] == ["hello.txt"]


def test_a_deleted_experiment_is_named(config: TrackingConfig) -> None:
    client(config).delete_experiment(open_experiment(config))
    with pytest.raises(InputError, match=r"tracking\.experiment=test_a_deleted"):
        open_experiment(config)


def test_a_run_is_written_and_read_back(
    config: TrackingConfig, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model card.md").write_text("# card")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with writer.run(config, "sweep", {"kind": "sweep"}) as parent:
            child_config = replace(config, parent_run_id=parent.run_id)
            with writer.run(child_config, "none_none_0neg_0ep", {"arch": "none"}) as run:
                run.log_params({"train.batch_size": 16, "uri": "postgresql://me:hunter2@db/x"})
                run.log_params({f"many.{i}": i for i in range(250)})
                run.log_params({"grid": "x" * 7000})
                run.log_metrics({"vector/ndcg_at_10": 0.25, "gone": nan})
                run.log_metrics({f"m/{i}": i for i in range(1100)})
                run.log_metrics({"train/loss": 2.0}, 1)
                run.log_metrics({"train/loss": 1.0}, 2)
                run.log_tags({"long": "y" * 9000})
                run.log_file(tmp_path / "model card.md", "cards")
                run.log_text("text", "note.txt")
            (record,) = reader.read_runs(config, parent.run_id)
    assert mlflow.active_run() is None
    assert capfd.readouterr() == ("", "")

    assert record.run_id == run.run_id
    assert (record.name, record.status) == ("none_none_0neg_0ep", "FINISHED")
    assert record.tags["arch"] == "none"
    assert record.tags["pid"] == str(os.getpid())
    assert len(record.tags["long"]) == 8000
    assert record.params["train.batch_size"] == "16"
    assert record.params["uri"] == "postgresql://me:***@db/x"
    assert record.params["many.249"] == "249"
    assert record.params["grid"] == "x" * 5999 + "…"
    assert record.metrics["vector/ndcg_at_10"] == 0.25
    assert isnan(record.metrics["gone"])
    assert record.metrics["m/1099"] == 1099
    history = client(config).get_metric_history(run.run_id, "train/loss")
    assert [(m.step, m.value) for m in history] == [(1, 2.0), (2, 1.0)]
    full = client(config).download_artifacts(run.run_id, "params/grid.txt", str(tmp_path))
    assert Path(full).read_text() == "x" * 7000
    assert {f.path for f in client(config).list_artifacts(run.run_id)} == {
        "params",
        "cards",
        "note.txt",
    }


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (ValueError("bad\n  thing at https://me:pw@host/x"), "FAILED", "ValueError: bad thing"),
        (InputError("train.x=1: must be 2"), "FAILED", "train.x=1: must be 2"),
        (SystemExit(3), "FAILED", "SystemExit: 3"),
        (KeyboardInterrupt(), "KILLED", "interrupted"),
    ],
    ids=["error", "input-error", "exit", "interrupt"],
)
def test_a_failed_run_says_why(
    store: TrackingConfig, error: BaseException, status: str, reason: str
) -> None:
    with writer.run(store, "sweep", {}) as parent:
        child = replace(store, parent_run_id=parent.run_id)
        with pytest.raises(type(error)) as caught, writer.run(child, "point", {}):
            raise error
        assert caught.value is error
    (record,) = reader.read_runs(store, parent.run_id)
    assert record.status == status
    assert record.tags["failure"].startswith(reason)
    assert "pw" not in record.tags["failure"]
    assert "traceback.txt" in {f.path for f in client(store).list_artifacts(record.run_id)}


def test_a_schedulers_handler_that_exits_kills_the_run(config: TrackingConfig) -> None:
    class Scheduler:
        def requeue(self, number: int, frame: object) -> None:
            self.leave()

        def leave(self) -> None:
            sys.exit(-1)

    before = signal.signal(signal.SIGUSR2, Scheduler().requeue)
    try:
        with pytest.raises(SystemExit), writer.run(config, "point", {}) as run:
            os.kill(os.getpid(), signal.SIGUSR2)
            time.sleep(5)
    finally:
        signal.signal(signal.SIGUSR2, before)
    record = reader.read_run(config, run.run_id)
    assert (record.status, record.tags["failure"]) == ("KILLED", "interrupted")


def test_a_failure_that_cannot_be_recorded_does_not_hide_the_first(config: TrackingConfig) -> None:
    def fail() -> None:
        with writer.run(config, "point", {}) as run:
            client(config).delete_run(run.run_id)  # MLflow refuses to write to it now
            raise ValueError("first")

    with pytest.raises(ValueError, match="first") as caught:
        fail()
    assert "could not record" in caught.value.__notes__[0]


def test_latest_sweep_is_the_newest_with_a_finished_run(config: TrackingConfig) -> None:
    assert reader.latest_sweep(config) is None  # not even an experiment
    with writer.run(config, "sweep", {"kind": "sweep"}) as empty:
        assert reader.latest_sweep(config) is None
    sweeps = []
    for _ in range(2):
        with writer.run(config, "sweep", {"kind": "sweep"}) as parent:
            child = replace(config, parent_run_id=parent.run_id)
            for _ in range(2):
                with writer.run(child, "point", {"kind": "point"}):
                    pass
        sweeps.append(parent.run_id)
        assert reader.latest_sweep(config) == parent.run_id
    with writer.run(config, "sweep", {"kind": "sweep"}):
        assert reader.latest_sweep(config) == sweeps[1]
    assert reader.read_runs(config, empty.run_id) == []
    assert len(reader.read_runs(config, sweeps[0])) == 2


def test_points_without_a_run_are_of_their_own_data_set(config: TrackingConfig) -> None:
    points = {key: {"name": f"point_{key}", "dataset": f"data_{key}"} for key in "abc"}
    with writer.run(config, "sweep", {"kind": "sweep", "dataset": "data_a"}) as parent:
        artifacts.log_points(parent, points)
        with writer.run(replace(config, parent_run_id=parent.run_id), "x", {"fingerprint": "b"}):
            pass
        waiting = artifacts.read_skipped(config, parent.run_id)
    skipped = artifacts.read_skipped(config, parent.run_id)
    assert [(run.name, run.tags["dataset"]) for run in skipped] == [
        ("point_a", "data_a"),
        ("point_c", "data_c"),
    ]
    assert {run.status for run in waiting} == {"WAITING"}
    assert {run.status for run in skipped} == {"SKIPPED"}


def test_reading_pages_through_many_runs(
    config: TrackingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.tracking.reader.PAGE", 2)
    with writer.run(config, "sweep", {}) as parent:
        for i in range(5):
            with writer.run(replace(config, parent_run_id=parent.run_id), f"p{i}", {}):
                pass
        names = [record.name for record in reader.read_runs(config, parent.run_id)]
    assert names == ["p0", "p1", "p2", "p3", "p4"]


def test_reading_creates_nothing(tmp_path: Path) -> None:
    config = TrackingConfig(uri=f"sqlite:///{tmp_path}/none/mlflow.db", experiment="e")
    assert reader.latest_sweep(config) is None
    with pytest.raises(InputError, match="no such database"):
        reader.read_runs(config, "some-run")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_run_is_named(store: TrackingConfig) -> None:
    open_experiment(store)
    with pytest.raises(InputError, match="nosuchrun"):
        reader.read_runs(store, "nosuchrun")


def test_per_query_values_survive(config: TrackingConfig) -> None:
    per_query = {
        "vector": {"ndcg_at_10": {"q|1": 0.1 + 0.2, "é": 1.0}, "mrr_at_5": {"q|1": 0.0, "é": nan}},
        "vector_reranked": {"ndcg_at_10": {"q|1": 1 / 3, "é": 0.0}},
    }
    with writer.run(config, "point", {}) as run:
        assert artifacts.read_per_query(config, run.run_id) == {}
        artifacts.log_per_query(run, per_query)
    stored = artifacts.read_per_query(config, run.run_id)
    assert isnan(stored["vector"]["mrr_at_5"].pop("é"))
    del per_query["vector"]["mrr_at_5"]["é"]
    assert stored == per_query
    with writer.run(config, "empty", {}) as run:
        artifacts.log_per_query(run, {})
    assert artifacts.read_per_query(config, run.run_id) == {}


def test_the_table_of_queries_is_bounded_and_compares_the_reranker(
    config: TrackingConfig, tmp_path: Path
) -> None:
    queries = {f"q{i:04}": "x" * 400 for i in range(2100)}
    values = dict.fromkeys(queries, 1 / 3)
    per_query = {
        "vector": {"ndcg_at_10": values, "mrr_at_10": values},
        "vector_reranked": {"ndcg_at_10": values},
        "vector_candidates": {"recall_at_40": values},
    }
    with writer.run(config, "point", {}) as run:
        artifacts.log_query_table(run, queries, per_query, "ndcg_at_10")
    file = client(config).download_artifacts(run.run_id, "per_query.json", str(tmp_path))
    table = json.loads(Path(file).read_text())
    names = ["query", "vector_reranked/ndcg_at_10", "vector/ndcg_at_10", "query_id"]
    assert table["columns"] == names
    assert len(table["data"]) == 2000
    assert table["data"][-1] == ["x" * 299 + "…", 0.3333, 0.3333, "q1999"]
    logged = client(config).get_run(run.run_id).data.tags["mlflow.loggedArtifacts"]
    assert json.loads(logged) == [{"path": "per_query.json", "type": "table"}]


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
