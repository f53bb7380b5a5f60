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
from pipeline.training.schedule import plan
from pipeline.training.train import train
from pipeline.training.training_set import TrainingSet
from tests.conftest import Compose, NewStore, Prepare
from tests.points import CHILD, SMALL, compose_config, tracked
from tests.servers import free_port

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


POINTS = """
import json, os, runpy, sys
for port, words in json.loads(sys.argv[1]):
    # A store of torchrun's serves one meeting of the processes, so each point has its own.
    os.environ |= {"TORCHELASTIC_USE_AGENT_STORE": "False", "MASTER_PORT": port}
    sys.argv = ["pipeline", *words]
    try:
        runpy.run_module("pipeline", run_name="__main__")
    except SystemExit as end:
        if end.code:
            raise
"""
ARCHS = ["cross_encoder", "colbert"]


def words_of(arch: str, folder: Path) -> list[str]:
    return [*POINT, f"arch={arch}", f"output_dir={folder / 'outputs'}"]


@pytest.fixture(scope="module")
def by_two(
    tmp_path_factory: pytest.TempPathFactory, prepare: Prepare, new_store: NewStore
) -> tuple[Path, str]:
    """What two processes left in a folder per point, and what they wrote to stderr.

    Like ``torchrun --nproc-per-node=2 -m pipeline`` for each architecture, and for a point that
    has finished before, but all in one start: a process imports for 5 s.
    """
    folder = tmp_path_factory.mktemp("two")
    for arch in ARCHS:
        prepare(folder / arch, *POINT, f"arch={arch}")
    new_store(folder / "finished" / "outputs")
    done_before = words_of("cross_encoder", folder / "finished")
    config = compose_config(done_before)
    with writer.run(config.tracking, "sweep", {}) as parent:
        config.tracking.parent_run_id = parent.run_id
        tags = {"kind": "point", "fingerprint": fingerprints([config])[0]}
        with writer.run(config.tracking, config.run_name, tags):
            pass
        points = [words_of(arch, folder / arch) for arch in ARCHS]
        points.append([*done_before, f"tracking.parent_run_id={parent.run_id}"])
        (folder / "points.py").write_text(POINTS)
        done = subprocess.run(
            [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
            + ["points.py", json.dumps([(str(free_port()), words) for words in points])],
            cwd=folder,
            env=CHILD,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
    assert done.returncode == 0, done.stderr
    return folder, done.stderr


def trained(folder: Path) -> tuple[list[dict[str, float]], dict[str, object]]:
    """The curve and the weights of the only model."""
    (stage,) = (folder / "outputs" / "cache" / "model").glob("[0-9a-f]*")
    curve = [metrics for _, metrics in json.loads((stage / "training.json").read_text())["curve"]]
    weights: dict[str, object] = {}
    for file in sorted((stage / "model").rglob("*.safetensors")):
        weights |= {f"{file.name}:{name}": values for name, values in load_file(file).items()}
    return curve, weights


@pytest.mark.slow
@pytest.mark.parametrize("arch", ARCHS)
def test_two_processes_take_the_steps_of_one(
    arch: str, by_two: tuple[Path, str], prepare: Prepare, tmp_path: Path
) -> None:
    threads = torch.get_num_threads()
    prepare(tmp_path, *POINT, f"arch={arch}")
    experiment.run(compose_config(words_of(arch, tmp_path)), tmp_path / "run")
    torch.set_num_threads(threads)
    two = by_two[0] / arch
    client = MlflowClient(tracked(two).uri)
    recorded = client.get_experiment_by_name("pydocs")
    (run,) = client.search_runs([recorded.experiment_id])
    assert run.info.status == "FINISHED"
    curve, weights = trained(tmp_path)
    theirs, of_two = trained(two)
    assert [sorted(metrics) for metrics in theirs] == [sorted(metrics) for metrics in curve]
    for mine, other in zip(curve, theirs, strict=True):
        assert other == pytest.approx(mine, rel=1e-3)
    assert list(of_two) == list(weights)
    # A softmax over the passages of a query gives the bias of the head no gradient but noise.
    weights.pop("model.safetensors:classifier.bias", None)
    for name, values in weights.items():
        assert of_two[name] == pytest.approx(values, abs=2e-4), name


@pytest.mark.slow
def test_only_the_first_process_speaks(by_two: tuple[Path, str]) -> None:
    assert by_two[1].count(" pairs in ") == len(ARCHS)
    assert by_two[1].count("train: kept step ") == len(ARCHS)


@pytest.mark.slow
def test_all_processes_end_with_a_point_that_has_finished_before(by_two: tuple[Path, str]) -> None:
    folder, logged = by_two
    assert logged.count("finished before") == 1
    assert not (folder / "finished" / "outputs" / "cache").exists()


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
    with pytest.raises(InputError, match=r"train.batch_size=7: must be a multiple of the 2 proc"):
        train(
            reranker,
            rows.examples,
            schedule,
            config.train,
            hardware=machine,
            seed=1,
            folder=tmp_path,
            on_log=lambda step, metrics: None,
        )
