"""A stack counts for the innermost of its frames that is the project's or a known library's."""

import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

import pipeline
from benchmarks.bench.overhead import part_of, sampled
from pipeline.config.stages import HardwareConfig
from pipeline.infra.batches import compute
from pipeline.infra.hardware import resolve

OURS = Path(pipeline.__file__).parent.as_posix()
LIBRARIES = "/home/me/.venv/lib/python3.11/site-packages"
PYTHON = "/usr/lib/python3.11"
RECIPE = f"{OURS}/experiment/recipe.py"


@pytest.mark.parametrize(
    ("files", "part"),
    [
        ([f"{OURS}/rerankers/maxsim.py", RECIPE], "pipeline/rerankers/maxsim.py"),
        ([f"{PYTHON}/json/encoder.py", f"{OURS}/infra/manifest.py"], "pipeline/infra/manifest.py"),
        ([f"{LIBRARIES}/numpy/linalg.py", f"{OURS}/report/axes.py"], "pipeline/report/axes.py"),
        ([f"{LIBRARIES}/ir_measures/util.py", RECIPE], "pipeline/experiment/recipe.py"),
        ([f"{LIBRARIES}/torch/nn/modules/linear.py", f"{OURS}/rerankers/lce.py"], "model"),
        # The library's trainer calls this project's code, which calls nothing.
        (
            [f"{OURS}/training/trainer.py", f"{LIBRARIES}/transformers/trainer.py"],
            "pipeline/training/trainer.py",
        ),
        ([f"{PYTHON}/threading.py", f"{LIBRARIES}/lancedb/background_loop.py", RECIPE], "LanceDB"),
        ([f"{LIBRARIES}/numpy/core.py", f"{LIBRARIES}/pylate/rank.py", RECIPE], "model"),
        ([f"{PYTHON}/ast.py", f"{OURS}/data/pydocs.py", RECIPE], "data loading"),
        ([f"{LIBRARIES}/datasets/arrow_dataset.py", RECIPE], "data loading"),
        ([f"{LIBRARIES}/sqlalchemy/orm.py", f"{LIBRARIES}/mlflow/store.py", RECIPE], "MLflow"),
        ([f"{LIBRARIES}/torch/__init__.py", "<frozen importlib._bootstrap>", RECIPE], "imports"),
        # A package whose name only begins like a known one.
        ([f"{LIBRARIES}/torchmetrics/metric.py", RECIPE], "pipeline/experiment/recipe.py"),
        ([f"{LIBRARIES}/lance.py", RECIPE], "LanceDB"),
        (
            [f"{PYTHON}/selectors.py", f"{OURS}/infra/processes.py", f"{OURS}/data/pydocs.py"],
            "data loading",
        ),
        ([], "pipeline/"),
    ],
)
def test_part_of_a_stack(files: list[str], part: str) -> None:
    assert part_of(files) == part


def test_the_seconds_of_a_block_are_counted() -> None:
    with sampled() as seconds:
        time.sleep(0.1)  # of this file, which is no library's
    assert set(seconds) == {"pipeline/"}
    assert seconds["pipeline/"] > 0


def test_the_threads_that_compute_batches_count_for_the_one_that_waits() -> None:
    layer, machine = torch.nn.Linear(512, 512), resolve(HardwareConfig(threads=2, precision="fp32"))

    def forward(batch: Sequence[int]) -> None:
        until = time.perf_counter() + 0.1
        while time.perf_counter() < until:
            layer(torch.ones(4096, 512))

    with sampled() as seconds:
        compute(forward, [[1], [2]], machine, 2)
    assert seconds["model"] > 0.5 * sum(seconds.values())
