"""The key of the timings holds what is passed to the timing, and nothing else."""

import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.experiment.latency import inputs
from pipeline.experiment.shared import Shared
from pipeline.experiment.start import Start
from pipeline.infra.hardware import Hardware
from pipeline.infra.stage_cache import StageCache, content_key
from pipeline.records import QuerySet
from pipeline.sweep.latency import Timing
from tests.points import compose_config
from tests.shared import EMPTY

QUERIES = QuerySet({f"q{n}": f"text {n}" for n in range(3)}, {})
SHARED = replace(EMPTY, dataset=replace(EMPTY.dataset, test=QUERIES))


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    return tmp_path


def key(words: list[str], machine: Hardware, base: Path, shared: Shared = SHARED) -> str:
    cache = StageCache(base / "cache")
    return content_key(inputs(Start(compose_config(words), base, shared, machine, cache)))


@pytest.mark.parametrize(
    "change",
    [
        "arch.learning_rate=0.1",
        "arch.batch_size=7",
        "arch.loss=lambda",
        "train.learning_rate=0.1",
        "base.licence=mit",
        "base.name=other",
        "negatives=2",
        "seed=99",
        "eval.dev_depth=5",
        "latency.enabled=false",
    ],
)
def test_what_takes_no_time_is_not_in_it(change: str, machine: Hardware, base: Path) -> None:
    assert key([change], machine, base) == key([], machine, base)


@pytest.mark.parametrize(
    "change",
    [
        "arch.max_length=30",
        "arch=colbert",
        "arch=none",
        "base.dedicated=true",
        "eval.batch_size=7",
        "eval.rrf_k=9",
        "index.hybrid_depth=200",
        "latency.callers=8",
        "latency.limits=[7]",
        "rerank.windows=20",
    ],
)
def test_what_is_passed_on_is_in_it(change: str, machine: Hardware, base: Path) -> None:
    words = ["epochs=0", "base=minilm_l3"]
    assert key([*words, change], machine, base) != key(words, machine, base)


def test_machines_differ_by_threads_and_precision(machine: Hardware, base: Path) -> None:
    others = [
        replace(machine, threads=machine.threads + 1),
        replace(machine, precision="bf16"),
        replace(machine, name="another"),
    ]
    assert len({key([], other, base) for other in [machine, *others]}) == 4


def test_queries_are_chosen_by_their_texts(machine: Hardware, base: Path) -> None:
    renamed = QuerySet({f"other{9 - n}": f"text {n}" for n in range(3)}, {})
    other = replace(EMPTY, dataset=replace(EMPTY.dataset, test=renamed))
    assert key([], machine, base, other) == key([], machine, base)


def test_a_job_that_times_points_travels_to_another_process() -> None:
    timing = Timing({"r" * 32: compose_config(["arch=colbert"])})
    assert pickle.loads(pickle.dumps(timing)) == timing
