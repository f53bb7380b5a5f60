"""The key of the scores holds all that they depend on, and nothing else."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.experiment.scores import inputs
from pipeline.experiment.shared import Shared
from pipeline.experiment.start import Start
from pipeline.infra.hardware import Hardware
from pipeline.infra.stage_cache import StageCache, content_key
from tests.points import compose_config
from tests.shared import EMPTY

WORDS = ("base=minilm_l3", "epochs=0")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    return tmp_path


def key(words: tuple[str, ...], machine: Hardware, model: Path, shared: Shared = EMPTY) -> str:
    config = compose_config([*WORDS, *words])
    start = Start(config, model, shared, machine, StageCache(model / "cache"))
    return content_key(inputs(start, model))


@pytest.mark.parametrize(
    "change",
    [
        "arch=colbert",
        "arch.max_length=30",
        "base.dedicated=true",
        "epochs=1",
        "eval.batch_size=7",
        "rerank.windows=20",
        "seed=99",
    ],
)
def test_what_changes_a_score_is_in_the_key(change: str, machine: Hardware, model: Path) -> None:
    assert key((change,), machine, model) != key((), machine, model)


@pytest.mark.parametrize(
    "change", ["arch.learning_rate=0.1", "base.licence=mit", "eval.rrf_k=30", "negatives=2"]
)
def test_what_changes_no_score_is_not_in_it(change: str, machine: Hardware, model: Path) -> None:
    assert key((change,), machine, model) == key((), machine, model)


def test_data_machine_and_model_are_in_the_key(machine: Hardware, model: Path) -> None:
    keys = {
        key((), machine, model),
        key((), replace(machine, precision="bf16"), model),
        key((), machine, model, replace(EMPTY, candidates_key="other")),
        key((), machine, model, replace(EMPTY, dataset=replace(EMPTY.dataset, fingerprint="g"))),
    }
    (model / "model.safetensors").write_bytes(b"other weights")
    assert len(keys | {key((), machine, model)}) == 5
