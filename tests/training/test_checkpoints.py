"""A training that is interrupted goes on, and ends with the same weights, bit by bit."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import torch
from mlflow import MlflowClient
from mlflow.entities import Run

from pipeline.experiment import recipe
from pipeline.experiment.shared import Shared
from pipeline.infra.hardware import Hardware
from pipeline.infra.manifest import MANIFEST
from pipeline.infra.model_files import prepare_base
from pipeline.infra.stage_cache import StageCache
from pipeline.protocols import Effort, Reranker
from pipeline.rerankers import load_reranker
from pipeline.training.checkpoints import newest, trained_steps
from pipeline.training.schedule import plan
from pipeline.training.train import train
from pipeline.training.training_set import TrainingSet
from tests.conftest import Compose, Prepare
from tests.points import CHILD, TINY, compose_config, tracked

Curve = list[tuple[int, Mapping[str, float]]]
EVERY_STEP = "train.checkpoint_minutes=0"


class Killed(BaseException):
    """Stands for a kill at a moment that a test chooses."""


def trained(
    shared: Shared,
    small: Compose,
    machine: Hardware,
    folder: Path,
    *overrides: str,
    killed_at: int | None = None,
    signalled_at: int | None = None,
    efforts: list[Effort] | None = None,
) -> tuple[Reranker, Curve]:
    """Eight steps over two epochs, with a dev score that depends on the weights.

    What the training took is appended to ``efforts``.
    """
    config = small("base=modernbert_tiny", "train.learning_rate=1e-3", *overrides)
    base = prepare_base(config.base, StageCache.of(config))
    reranker = load_reranker(base, config.arch, machine, 32, seed=1)
    assert reranker is not None and shared.negatives is not None
    rows = TrainingSet(shared.negatives, shared.dataset, 1)
    schedule = plan(config.arch.loss, len(rows), rows.queries, 1, 1, config.train)
    curve: Curve = []

    def on_log(step: int, metrics: Mapping[str, float]) -> None:
        curve.append((step, metrics))
        if step == killed_at and "train/loss" in metrics:
            raise Killed
        if step == signalled_at and "train/loss" in metrics:
            os.kill(os.getpid(), signal.SIGUSR2)

    def dev_score() -> float:
        assert reranker is not None
        weights = torch.cat([w.detach().flatten() for w in reranker.model.parameters()])
        return float(torch.sin(1e4 * weights.double().sum()))

    outcome = train(
        reranker,
        rows.examples,
        schedule,
        config.train,
        hardware=machine,
        seed=1,
        folder=folder,
        on_log=on_log,
        dev_score=dev_score,
    )
    if efforts is not None:
        efforts.append(outcome.effort)
    return reranker, curve


def weights_of(reranker: Reranker) -> dict[str, torch.Tensor]:
    return {name: weights.clone() for name, weights in reranker.model.state_dict().items()}


def same(ours: Reranker, theirs: Reranker) -> bool:
    a, b = weights_of(ours), weights_of(theirs)
    return list(a) == list(b) and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arch", "rank", "precision"),
    [  # all weights of a cross-encoder in fp32: below, after a stop and after a signal
        ("cross_encoder", "4", "bf16"),
        ("colbert", "null", "bf16"),
        ("colbert", "4", "fp32"),
    ],
)
def test_an_interrupted_training_ends_with_the_same_weights(
    arch: str, rank: str, precision: str, shared: Shared, small: Compose, tmp_path: Path
) -> None:
    machine = Hardware("cpu", precision, 1, "test")
    settings = (
        f"arch={arch}",
        f"train.lora_rank={rank}",
        "train.max_steps=8",
        "train.eval_every=2",
        EVERY_STEP,
    )
    efforts: list[Effort] = []
    whole, curve = trained(shared, small, machine, tmp_path / "whole", *settings, efforts=efforts)
    folder = tmp_path / "parts"
    for step in (3, 7):
        with pytest.raises(Killed):
            trained(shared, small, machine, folder, *settings, killed_at=step)
        latest = newest(next(folder.glob("batch-*")))
        assert latest is not None
        assert trained_steps(latest) == step - 1
    resumed, again = trained(shared, small, machine, folder, *settings, efforts=efforts)
    assert same(resumed, whole)
    assert again == curve
    # 48 rows of a query and 2 passages: 6 batches of 16 pairs an epoch, or 3 of 16 rows.
    pairs = 8 * 16 if arch == "cross_encoder" else 8 * 32
    assert [(effort.steps, effort.pairs) for effort in efforts] == [(8, pairs)] * 2
    assert len({metrics["train/loss"] for _, metrics in curve if "train/loss" in metrics}) == 8
    assert sum("train/dev_score" in metrics for _, metrics in curve) == 4


@pytest.mark.slow
def test_a_damaged_checkpoint_is_not_gone_on_from(
    shared: Shared, small: Compose, machine: Hardware, tmp_path: Path
) -> None:
    settings = ("train.max_steps=4", EVERY_STEP)
    whole, curve = trained(shared, small, machine, tmp_path / "whole", *settings)
    with pytest.raises(Killed):
        trained(shared, small, machine, tmp_path / "parts", *settings, killed_at=3)
    (weights,) = (tmp_path / "parts").glob("*/*/weights.safetensors")
    unsealed = shutil.copytree(weights.parent, tmp_path / "unsealed" / weights.parent.name)
    (unsealed / MANIFEST).unlink()
    assert newest(unsealed.parent) is None
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    assert newest(weights.parent.parent) is None
    resumed, again = trained(shared, small, machine, tmp_path / "parts", *settings)
    assert same(resumed, whole)
    assert again == curve


@pytest.mark.slow
def test_a_training_that_had_stopped_stops_again(
    shared: Shared, small: Compose, machine: Hardware, tmp_path: Path
) -> None:
    patient = ("train.max_steps=12", "train.eval_every=1", "train.patience=1", EVERY_STEP)
    whole, curve = trained(shared, small, machine, tmp_path, *patient)
    latest = newest(next(tmp_path.glob("batch-*")))
    assert latest is not None
    assert trained_steps(latest) < 12  # patience was over before
    resumed, again = trained(shared, small, machine, tmp_path, *patient)
    assert same(resumed, whole)
    assert again == curve


Calls = list[tuple[int, list[str]]]


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[Calls]:
    """Calls of a handler that is not ours: the signal, and the checkpoints there are."""
    calls: Calls = []

    def requeue(number: int, frame: object) -> None:
        calls.append((number, [path.name for path in tmp_path.glob("parts/*/checkpoint-*")]))
        if len(calls) == 2:
            sys.exit(-1)

    before = signal.signal(signal.SIGUSR2, requeue)
    yield calls
    assert signal.signal(signal.SIGUSR2, before) is requeue


@pytest.mark.slow
def test_a_schedulers_signal_is_handled_after_the_checkpoint(
    shared: Shared, small: Compose, machine: Hardware, tmp_path: Path, scheduler: Calls
) -> None:
    settings = ("train.max_steps=3", "train.eval_every=1", "train.checkpoint_minutes=null")
    parts = (shared, small, machine, tmp_path / "parts", *settings)
    whole, curve = trained(shared, small, machine, tmp_path / "whole", *settings)
    passed, same_curve = trained(*parts, signalled_at=1)  # the handler returns
    assert scheduler == [(signal.SIGUSR2, ["checkpoint-2"])]
    assert same(passed, whole)
    assert same_curve == curve
    with pytest.raises(SystemExit):  # the handler exits, here after the last step
        trained(*parts, signalled_at=2)
    assert scheduler[1:] == [(signal.SIGUSR2, ["checkpoint-3"])]
    resumed, again = trained(*parts)
    assert same(resumed, whole)
    assert again == curve


@pytest.mark.slow
def test_without_checkpoints_nothing_is_written(
    shared: Shared, small: Compose, machine: Hardware, tmp_path: Path
) -> None:
    trained(shared, small, machine, tmp_path, "train.checkpoint_minutes=null", "train.max_steps=2")
    assert not list(tmp_path.glob("*/checkpoint-*"))


def runs_in(folder: Path) -> list[Run]:
    """All runs, newest first."""
    client = MlflowClient(tracked(folder).uri)
    experiment = client.get_experiment_by_name("pydocs")
    return list(client.search_runs([experiment.experiment_id])) if experiment else []


@pytest.mark.slow
def test_sigterm_writes_a_checkpoint_and_the_next_run_goes_on(
    prepare: Prepare, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    point = (
        "arch=cross_encoder",
        "base=modernbert_tiny",
        *TINY,
        "train.max_steps=80",
        "train.batch_size=16",
        "train.checkpoint_minutes=null",  # but for the one at the end
        "hardware.threads=1",
    )
    outputs = prepare(tmp_path, *point)
    words = [sys.executable, "-m", "pipeline", *point]
    process = subprocess.Popen(words, cwd=tmp_path, env=CHILD, stderr=subprocess.PIPE, text=True)
    while not any("train/loss" in run.data.metrics for run in runs_in(tmp_path)):
        assert process.poll() is None, process.communicate()
        time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate()
    assert process.returncode == 143, errors
    (checkpoint,) = tmp_path.glob("outputs/cache/model/.unfinished-*/batch-16/checkpoint-*")
    caplog.set_level("INFO")
    recipe.run(compose_config([*point, f"output_dir={outputs}"]), tmp_path / "again")
    assert f"from step {trained_steps(checkpoint)} of 80" in caplog.text
    assert [run.info.status for run in runs_in(tmp_path)] == ["FINISHED", "KILLED"]
    assert not list(tmp_path.glob("outputs/cache/model/.unfinished-*"))
