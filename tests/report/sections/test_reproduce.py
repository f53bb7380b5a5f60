"""The command of a run composes to what the run logged."""

import shlex
from dataclasses import asdict

import pytest

from pipeline.config.compose import compose
from pipeline.infra import redact
from pipeline.report.comparison import compare
from pipeline.report.sections import reproduce
from pipeline.report.study import Study
from tests.report.sample import NOTHING, VALUES, read, record


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


@pytest.mark.parametrize(("commit", "unknown"), [("0123456789abcdef", False), ("unknown", True)])
def test_a_commit_that_is_not_known_is_stated(commit: str, unknown: bool) -> None:
    name = "colbert_minilm_l6_1neg_2ep"
    run = record(name, "scratch", VALUES[name])
    run.params["git.commit"] = commit
    section = reproduce.section(Study(compare([run], read), NOTHING, 100))
    text = " ".join(block for block in section.blocks if isinstance(block, str))
    assert ("0123456789ab" in text) != unknown
    assert ("unknown" in text) == unknown
