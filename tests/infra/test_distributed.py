"""Two processes over gloo train what one trains, and only the first does the rest."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mlflow import MlflowClient
from safetensors.numpy import load_file

from pipeline.experiment import recipe as experiment
from pipeline.experiment.fingerprint import fingerprints
from pipeline.experiment.shared import Shared
from pipeline.infra.hardware import Hardware
from pipeline.infra.model_files import prepare_base
from pipeline.infra.stage_cache import StageCache
from pipeline.records import InputError
from pipeline.rerankers import load_reranker
from pipeline.tracking import writer
from pipeline.training.negatives import TrainingSet
from pipeline.training.schedule import plan
from pipeline.training.train import train
from tests.conftest import CHILD, SMALL, Compose, NewStore, Prepare, compose_config, tracked

POINT = (
    *SMALL,  # 48 queries to train: six whole batches for colbert, of eight
    "dataset.max_dev_queries=4",
    "dataset.max_eval_queries=10",
    "eval.overfetch=1",
    "latency.enabled=false",
    "hardware.threads=1",
    "base=modernbert_tiny",  # without dropout, so that nothing is random but the order
    "train.batch_size=8",
    "train.learning_rate=1e-4",
    "train.head_learning_rate=null",
    "train.max_steps=6",
    "train.eval_every=3",
    "train.checkpoint_minutes=0",
)


def by_two(*words: str, cwd: Path, limit: float | None = None) -> subprocess.CompletedProcess[str]:
    """``torchrun --nproc-per-node=2 -m pipeline``."""
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
        + ["-m", "pipeline", *words],
        cwd=cwd,
        env=CHILD,
        capture_output=True,
        text=True,
        check=False,
        timeout=limit,
    )


def trained(folder: Path) -> tuple[list[dict[str, float]], dict[str, object]]:
    """The curve and the weights of the only model."""
    (stage,) = (folder / "outputs" / "cache" / "model").glob("[0-9a-f]*")
    curve = [metrics for _, metrics in json.loads((stage / "training.json").read_text())["curve"]]
    weights: dict[str, object] = {}
    for file in sorted((stage / "model").rglob("*.safetensors")):
        weights |= {f"{file.name}:{name}": values for name, values in load_file(file).items()}
    return curve, weights


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["cross_encoder", "colbert"])
def test_two_processes_take_the_steps_of_one(arch: str, prepare: Prepare, tmp_path: Path) -> None:
    words = (*POINT, f"arch={arch}")
    threads = torch.get_num_threads()
    outputs = prepare(tmp_path / "one", *words)
    experiment.run(compose_config([*words, f"output_dir={outputs}"]), tmp_path / "run")
    torch.set_num_threads(threads)
    prepare(tmp_path / "two", *words)
    done = by_two(*words, cwd=tmp_path / "two")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("train: ") == 1  # only the first process speaks
    client = MlflowClient(tracked(tmp_path / "two").uri)
    recorded = client.get_experiment_by_name("pydocs")
    (run,) = client.search_runs([recorded.experiment_id])
    assert run.info.status == "FINISHED"
    curve, weights = trained(tmp_path / "one")
    theirs, of_two = trained(tmp_path / "two")
    assert [sorted(metrics) for metrics in theirs] == [sorted(metrics) for metrics in curve]
    for mine, other in zip(curve, theirs, strict=True):
        assert other == pytest.approx(mine, rel=1e-3)
    assert list(of_two) == list(weights)
    # A softmax over the passages of a query gives the bias of the head no gradient but noise.
    weights.pop("model.safetensors:classifier.bias", None)
    for name, values in weights.items():
        assert of_two[name] == pytest.approx(values, abs=2e-4), name


@pytest.mark.slow
def test_all_processes_end_with_a_point_that_has_finished_before(
    new_store: NewStore, tmp_path: Path
) -> None:
    new_store(tmp_path / "outputs")
    config = compose_config([*POINT, f"output_dir={tmp_path / 'outputs'}"])
    with writer.run(config.tracking, "sweep", {}) as parent:
        config.tracking.parent_run_id = parent.run_id
        tags = {"kind": "point", "fingerprint": fingerprints([config])[0]}
        with writer.run(config.tracking, config.run_name, tags):
            pass
        done = by_two(*POINT, f"tracking.parent_run_id={parent.run_id}", cwd=tmp_path, limit=300)
    assert done.returncode == 0, done.stderr
    assert "finished before" in done.stderr


@pytest.mark.slow
def test_a_batch_that_can_not_be_shared_is_refused(
    small: Compose,
    shared: Shared,
    machine: Hardware,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    config = small("base=modernbert_tiny", "train.batch_size=7")
    base = prepare_base(config.base, StageCache.of(config))
    reranker = load_reranker(base, config.arch, machine, 32)
    assert reranker is not None and shared.negatives is not None
    rows = TrainingSet(shared.negatives, shared.dataset, 1)
    schedule = plan(config.arch.loss, len(rows), rows.queries, 1, 1, config.train)
    arguments = (config.train, machine, 1, tmp_path, None, lambda step, metrics: None)
    with pytest.raises(InputError, match=r"train.batch_size=7: must be a multiple of the 2 proc"):
        train(reranker, rows.examples, schedule, *arguments)
