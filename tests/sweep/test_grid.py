"""A sweep over several data sets: one sweep in one experiment, compared apart, gone on with."""

import csv
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline.sweep import run as sweep
from pipeline.sweep.grid import Grid, expand
from pipeline.tracking import reader
from tests.conftest import NewStore
from tests.data.beir_folder import CORPUS, jsonl, write
from tests.points import QUIET

CONTROL = ("arch=none", "base=none", "negatives=0", "epochs=0")
BRIEF = ("eval.top_k=[2,4]", "eval.overfetch=1", "latency.enabled=false", "hardware.precision=fp32")
LINES = ",".join(
    f"'dataset=beir dataset.path={name} dataset.name={name}'" for name in ("first", "second")
)


@pytest.mark.slow
def test_a_sweep_over_two_data_sets_is_one_sweep(
    tmp_path: Path,
    new_store: NewStore,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    outputs = tmp_path / "outputs"
    config = new_store(outputs)  # of the data set of the sweep itself, pydocs
    write(tmp_path / "first")
    write(tmp_path / "second", corpus=jsonl([*CORPUS, {"_id": "d7", "text": "Elks swim."}]))
    words = (*CONTROL, *BRIEF, *QUIET, f"output_dir={outputs}", f"grid=[{LINES}]")
    sweep.run(words)
    shown = capsys.readouterr().out
    assert "2 of 2 points" in shown
    for name in ("first", "second"):
        assert f"\n1 run on {name} " in f"\n{shown}"

    parent = reader.latest_sweep(config)
    assert parent is not None
    runs = reader.read_attempts(config, parent)
    assert [(run.tags["dataset"], run.status) for run in runs] == [
        ("first", "FINISHED"),
        ("second", "FINISHED"),
    ]
    experiments = {e.name for e in MlflowClient(config.uri).search_experiments()}
    assert experiments == {"Default", "pydocs"}
    with (outputs / "report" / "report.csv").open() as file:
        rows = [(row["dataset"], row["run_id"]) for row in csv.DictReader(file)]
    assert rows == [(run.tags["dataset"], run.run_id) for run in runs]

    sweep.run(words)
    assert "complete: all 2 points had finished" in capsys.readouterr().out
    assert reader.read_attempts(config, parent) == runs


@pytest.mark.slow
def test_the_first_data_set_names_the_experiment(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    paths = f"dataset.path={tmp_path}/first,{tmp_path}/second"
    grid = Grid([*CONTROL, "dataset=beir", paths, "dataset.name=b,a"])
    assert grid.config.tracking.experiment == "b"
    assert [point.tracking.experiment for point in grid.points] == ["b", "a", "b", "a"]
    assert Grid([*CONTROL, "dataset=gooaq,pydocs"]).config.dataset.name == "gooaq"
    named = Grid([*CONTROL, "dataset=gooaq,pydocs", "tracking.experiment=both"])
    assert named.config.tracking.experiment == "both"


def test_expand_is_a_union_of_products() -> None:
    assert expand(["a=1,2 b=3", "a=2 b=3"], ["c=4"]) == [
        ["a=1", "b=3", "c=4"],
        ["a=2", "b=3", "c=4"],
    ]
    assert expand([], ["a=1,2"]) == [["a=1"], ["a=2"]]
    assert expand(["a=1,2"], ["a=7"]) == [["a=7"]]


def test_an_override_leaves_the_control_and_untrained_bases_as_they_are() -> None:
    given = ["arch=colbert", "base=b", "base.path=p", "negatives=2", "epochs=3", "seed=1"]
    assert expand(["arch=none base=none negatives=0 epochs=0"], given) == [
        ["arch=none", "base=none", "negatives=0", "epochs=0", "seed=1"]
    ]
    assert expand(["base=a negatives=0 epochs=0"], given) == [
        ["base=b", "negatives=0", "epochs=0", "arch=colbert", "base.path=p", "seed=1"]
    ]
    # What such a line does not say comes from the override, and an axis is no fixed value.
    assert expand(["arch=none"], ["arch=colbert", "epochs=0"]) == [["arch=none", "epochs=0"]]
    assert expand(["epochs=0,1"], ["epochs=2"]) == [["epochs=2"]]


def test_the_names_of_a_ready_made_grid_follow_the_overrides() -> None:
    grid = Grid(["experiment=pydocs", "base=minilm_l3", "epochs=2"])
    for point in grid.points:
        expected = f"{point.arch.name}_{point.base.name}_{point.negatives}neg_{point.epochs}ep"
        assert point.run_name.startswith(expected)
    assert {point.base.name for point in grid.points} == {"none", "minilm_l3"}
    assert [point.epochs for point in grid.points if point.epochs < 2] == [0, 0]


def test_an_interpolation_in_a_line_has_the_value_of_its_point() -> None:
    lines = "['arch=colbert base=minilm_l6 train.queries=20,40 run_name=n_${train.queries}']"
    grid = Grid([f"grid={lines}", "negatives=1", "epochs=1"])
    assert [point.run_name for point in grid.points] == ["n_20", "n_40"]


def test_what_changes_no_result_makes_no_further_point() -> None:
    grid = Grid(["experiment=curve", "train.queries=100,200"])
    names = [point.run_name for point in grid.points]
    assert names[0] == "none_none_0neg_0ep"
    assert len(names) == len(set(names)) == len(grid.overrides) == 5
    assert "train.queries=100" in grid.overrides[0]
    # The same figures under other names
    untrained = Grid(["epochs=0", "run_name=n_${train.queries}", "train.queries=100,200"])
    assert [point.run_name for point in untrained.points] == ["n_100"]
    assert len(Grid(["epochs=0", "seed=1,2"]).points) == 2


def test_keys_of_hydra_can_be_appended() -> None:
    memory = "+hydra.launcher.ray.init.object_store_memory=null"
    master = Grid(["hydra/launcher=ray", memory, "grid=[]"]).master
    assert "object_store_memory" in master.hydra.launcher.ray.init
