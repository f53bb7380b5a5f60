"""A point that fails: repeated, stopping the sweep or not, gone on with."""

import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline.experiment import recipe as experiment
from pipeline.infra.model_files import prepare_base
from pipeline.infra.stage_cache import StageCache
from pipeline.records import InputError
from pipeline.tracking import reader, writer
from tests.commands.conftest import code_of
from tests.conftest import Prepare
from tests.points import QUIET, TINY, compose_config, tracked

SWEEP = (
    *TINY,
    "train.max_steps=2",
    "base=modernbert_tiny",
    "base.path=broken,random:modernbert",
    "run_name='of ${base.path}'",
)


pytestmark = pytest.mark.slow


def attempts(folder: Path) -> list[tuple[str, str]]:
    """Base and status of every attempt of the only sweep, oldest first."""
    config = tracked(folder)
    found = reader.read_attempts(config, sweep_of(folder))
    return [(run.params["base.path"], run.status) for run in found]


def sweep_of(folder: Path) -> str:
    """The run id of the only sweep."""
    client = MlflowClient(tracked(folder).uri)
    experiment = client.get_experiment_by_name("pydocs")
    (sweep,) = client.search_runs([experiment.experiment_id], "tags.kind = 'sweep'")
    return str(sweep.info.run_id)


def test_retries_and_fail_fast_and_going_on(
    tmp_path: Path,
    prepare: Prepare,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    outputs = prepare(tmp_path, *TINY, "base=modernbert_tiny")
    monkeypatch.chdir(tmp_path)
    caplog.set_level("INFO")

    def sweep(*words: str) -> str:
        """What a sweep that fails says."""
        caplog.clear()
        assert code_of(["sweep", *SWEEP, *QUIET, f"output_dir={outputs}", *words]) == 1
        return "".join(capsys.readouterr()) + caplog.text

    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text('{"model_type": "modernbert"}')
    (tmp_path / "broken" / "model.safetensors").write_bytes(b"half")
    said = sweep("retries=1", "fail_fast=true")
    assert attempts(tmp_path) == [("broken", "FAILED")] * 2
    assert "failed and is run again: " in said
    assert "0 of 2 points" in said
    assert "failed: RuntimeError: 1 point failed" in said
    assert "SKIPPED of random:modernbert: not started" in said

    said = sweep()
    assert "0 points finished before" in said
    assert attempts(tmp_path)[2:] == [("broken", "FAILED"), ("random:modernbert", "FINISHED")]
    assert "1 of 2 points" in said
    recorded = reader.read_run(tracked(tmp_path), sweep_of(tmp_path))
    assert (recorded.status, recorded.tags["failure"][:15]) == ("FAILED", "1 point failed:")
    assert reader.latest_sweep(tracked(tmp_path)) == recorded.run_id
    stages = {
        tag
        for run in reader.read_runs(tracked(tmp_path), sweep_of(tmp_path))
        for tag in run.tags
        if tag.startswith("stage.")
    }
    assert {"stage.base", "stage.candidates", "stage.dataset", "stage.index"} <= stages
    assert "stage.negatives" in stages


@pytest.mark.parametrize("stage", ["base", "index", "train", "score"])
def test_a_failed_point_has_its_stage_and_log(stage: str, tmp_path: Path, outputs: Path) -> None:
    """Whatever it fails in; only a mistake in a single command leaves nothing behind."""
    whole = prepare_base(compose_config(["base=minilm_l3"]).base, StageCache(outputs / "cache"))
    broken = tmp_path / "broken"
    shutil.copytree(whole, broken)
    (broken / "model.safetensors").write_bytes(b"half")
    overrides = {
        "base": ["base.path=no/such/model"],
        "index": ["base=modernbert_tiny", f"embedder.path={broken}"],
        "train": [f"base.path={broken}"],
        "score": [f"base.path={broken}", "epochs=0"],
    }[stage]
    config = compose_config([*TINY, f"output_dir={outputs}", *overrides])
    config.tracking.uri = f"sqlite:///{tmp_path}/mlflow.db"
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "pipeline.log").write_text("what was done\n")
    error = InputError if stage == "base" else Exception
    with writer.run(config.tracking, "sweep", {}) as parent:
        config.tracking.parent_run_id = parent.run_id
        with pytest.raises(error):
            experiment.run(config, folder)
    (point,) = reader.read_runs(config.tracking, parent.run_id)
    assert (point.status, point.tags["stage"]) == ("FAILED", stage)
    assert point.tags["failure"]
    assert point.params["base.path"] == config.base.path
    client = MlflowClient(config.tracking.uri)
    files = {file.path for file in client.list_artifacts(point.run_id)}
    assert {"pipeline.log", "traceback.txt"} <= files

    config.tracking.parent_run_id = None
    with pytest.raises(error):
        experiment.run(config, folder)
    experiments = [found.experiment_id for found in client.search_experiments()]
    alone = client.search_runs(experiments, "tags.kind = 'point' AND attributes.status = 'FAILED'")
    assert [run.data.tags["stage"] for run in alone] == [stage] * (1 if stage == "base" else 2)
