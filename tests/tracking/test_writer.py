"""A run is written to a real MLflow store, and says how it ended."""

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
from pipeline.tracking import reader, writer


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
    history = MlflowClient(config.uri).get_metric_history(run.run_id, "train/loss")
    assert [(m.step, m.value) for m in history] == [(1, 2.0), (2, 1.0)]
    full = MlflowClient(config.uri).download_artifacts(run.run_id, "params/grid.txt", str(tmp_path))
    assert Path(full).read_text() == "x" * 7000
    assert {f.path for f in MlflowClient(config.uri).list_artifacts(run.run_id)} == {
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
    assert "traceback.txt" in {
        f.path for f in MlflowClient(store.uri).list_artifacts(record.run_id)
    }


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
            MlflowClient(config.uri).delete_run(run.run_id)  # MLflow refuses to write to it now
            raise ValueError("first")

    with pytest.raises(ValueError, match="first") as caught:
        fail()
    assert "could not record" in caught.value.__notes__[0]


def test_logged_figures_have_as_many_decimals_as_can_be_read(config: TrackingConfig) -> None:
    exact = {
        "vector_reranked/ndcg_at_10": 0.5291679848,
        "latency/vector_50/total_p50_ms": 24.9613,
        "train/seconds": 288.4321,
        "train/loss": 0.123456789,
    }
    with writer.run(config, "point", {}) as run:
        run.log_metrics(exact)
    logged = reader.read_run(config, run.run_id).metrics
    assert logged == {
        "vector_reranked/ndcg_at_10": 0.5292,
        "latency/vector_50/total_p50_ms": 25.0,
        "train/seconds": 288.4,
        "train/loss": 0.123456789,
    }
