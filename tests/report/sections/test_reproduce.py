"""The command of a run composes to what the run logged."""

import shlex
from dataclasses import asdict

import pytest

from pipeline.config.compose import compose
from pipeline.infra import redact
from pipeline.report.sections import reproduce


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["arch=colbert", "negatives=2", "train.learning_rate=1e-5", "seed=7"],
        ["arch=none", "base=none", "negatives=0", "epochs=0", "eval.top_k=[5,10,20]"],
        ["dataset=beir", "dataset.path=/tmp/my data", "dataset.name=mine", "train.eval_every=0.5"],
        [
            "base=run:some_run",
            "arch=cross_encoder",
            "arch.loss=lambda",
            "embedder.query_prefix='q: '",
        ],
        ["experiment=report", "arch=colbert", "base=answerai_colbert", "negatives=1"],
    ],
)
def test_the_command_composes_to_the_same_configuration(words: list[str]) -> None:
    logged = redact.flatten(asdict(compose(words)))
    line = reproduce.command(logged)
    assert line is not None
    start, *again = shlex.split(line.removeprefix("python -m "))
    assert start == "pipeline"
    found = redact.flatten(asdict(compose(again)))
    skipped = ("grid", "output_dir", "tracking.")
    assert {k: v for k, v in found.items() if not k.startswith(skipped)} == {
        k: v for k, v in logged.items() if not k.startswith(skipped)
    }
