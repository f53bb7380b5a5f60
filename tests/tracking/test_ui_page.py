"""Descriptions in the UI: of an experiment, and of a sweep."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline.config.stages import TrackingConfig
from pipeline.records import InputError
from pipeline.tracking import reader, store, ui_page, writer
from tests.conftest import NewStore


@pytest.fixture
def config(tmp_path: Path, new_store: NewStore) -> TrackingConfig:
    return new_store(tmp_path, "e")


def test_a_long_note_is_cut_after_a_line(config: TrackingConfig) -> None:
    with writer.run(config, "sweep", {}) as run:
        run.log_note("| a | row |\n" * 1000)
    note = reader.read_run(config, run.run_id).tags["mlflow.note.content"]
    assert len(note) <= 8000
    table, _, pointer = note.partition("\n\n")
    assert set(table.splitlines()) == {"| a | row |"}
    assert pointer == "The rest is in the artifacts.\n"


def test_the_description_follows_the_code_but_not_over_an_edit(config: TrackingConfig) -> None:
    def describe(**tags: str) -> str:
        for key, value in tags.items():
            MlflowClient(config.uri).set_experiment_tag(
                experiment_id, key.replace("__", "."), value
            )
        assert store.open_experiment(config) == experiment_id
        return str(
            MlflowClient(config.uri).get_experiment(experiment_id).tags["mlflow.note.content"]
        )

    experiment_id = store.open_experiment(config)
    note = describe()
    old = "Rerankers on one data set: as an older version had it"
    assert describe(mlflow__note__content=old, description_digest="x") == old  # somebody's edit
    digest = hashlib.sha256(old.encode()).hexdigest()[:12]
    assert describe(description_digest=digest) == note
    with writer.run(config, "sweep", {"kind": "sweep"}) as sweep:
        assert describe() == note  # its table comes at its end
    page = f"(#/experiments/{experiment_id}/runs/{sweep.run_id}?"
    linked = describe()
    assert page in linked.splitlines()[0]
    with writer.run(config, "sweep", {"kind": "sweep"}):
        pass
    assert page not in describe()
    with writer.run(config, "sweep", {"kind": "sweep"}) as partial:
        partial.log_metrics({"sweep/seconds": 9.0})
        partial.fail("1 point failed: a: no luck")
    with pytest.raises(InputError), writer.run(config, "sweep", {"kind": "sweep"}):
        raise InputError("no text")  # so it has no table
    assert f"/runs/{partial.run_id}?" in describe().splitlines()[0]
    assert describe(mlflow__note__content="ours alone") == "ours alone"
    assert ui_page.first_page(config).startswith(f"/#/experiments/{experiment_id}/runs?")
    assert ui_page.first_page(replace(config, experiment="none")) == ""
