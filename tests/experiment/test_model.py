"""The key of a trained model holds all that the weights depend on, and nothing else."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.experiment.model import inputs
from pipeline.experiment.shared import Shared
from pipeline.experiment.start import Start
from pipeline.infra.hardware import Hardware
from pipeline.infra.stage_cache import StageCache, content_key
from tests.points import compose_config
from tests.shared import EMPTY

SHARED = replace(EMPTY, negatives=Path("mined"))
WORDS = (
    "base=minilm_l3",
    "train.eval_every=0.5",
    "train.head_learning_rate=null",
    "eval.dev_depth=5",
    "index.hybrid_depth=200",
)
"""The dev score reads the model while it is trained, so what it depends on counts too."""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    return tmp_path


def key(words: tuple[str, ...], machine: Hardware, base: Path, shared: Shared = SHARED) -> str:
    config = compose_config([*WORDS, *words])
    start = Start(config, base, shared, machine, StageCache(base / "cache"))
    return content_key(inputs(start, None))


@pytest.mark.parametrize(
    "change",
    [
        "arch=colbert",
        "arch.training_max_length=30",
        "base.dedicated=true",
        "negatives=2",
        "epochs=2",
        "seed=99",
        "train.learning_rate=0.1",
        "eval.batch_size=7",
        "eval.dev_depth=6",
        "eval.rrf_k=30",
        "eval.top_k=[20]",
        "index.hybrid_depth=300",
        "rerank.windows=20",
    ],
)
def test_what_changes_the_weights_is_in_the_key(change: str, machine: Hardware, base: Path) -> None:
    assert key((change,), machine, base) != key((), machine, base)


@pytest.mark.parametrize(
    "change",
    [
        "base.licence=mit",
        "eval.overfetch=8",
        "latency.enabled=false",
        "rerank.variant=openvino",
        "train.checkpoint_minutes=1",
    ],
)
def test_what_changes_no_weight_is_not_in_it(change: str, machine: Hardware, base: Path) -> None:
    assert key((change,), machine, base) == key((), machine, base)


def test_data_machine_and_base_are_in_the_key(machine: Hardware, base: Path) -> None:
    keys = {
        key((), machine, base),
        key((), replace(machine, training_precision="bf16"), base),
        key((), machine, base, replace(SHARED, index_key="other")),
        key((), machine, base, replace(SHARED, negatives=Path("other"))),
        key((), machine, base, replace(SHARED, dataset=replace(SHARED.dataset, fingerprint="g"))),
    }
    (base / "model.safetensors").write_bytes(b"other weights")
    assert len(keys | {key((), machine, base)}) == 6
