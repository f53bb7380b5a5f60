"""Recorded runs are found and read, page by page."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.config.stages import TrackingConfig
from pipeline.records import InputError
from pipeline.tracking import reader, writer
from pipeline.tracking.store import open_experiment


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
    with pytest.raises(InputError, match=f"nothing has been recorded in {tmp_path}"):
        reader.read_runs(config, "some-run")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_run_is_named(store: TrackingConfig) -> None:
    open_experiment(store)
    with pytest.raises(InputError, match="nosuchrun"):
        reader.read_runs(store, "nosuchrun")
