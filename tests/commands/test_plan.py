"""The plan of a grid."""

import re
from pathlib import Path

import pytest

from tests.commands.conftest import code_of


@pytest.mark.slow
def test_the_plan_of_the_report_writes_nothing(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of(["plan", "experiment=report"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"colbert_modernbert_2neg_4ep .* 24,000,000 .* 62,500", shown)
    assert list(elsewhere.iterdir()) == []


def test_what_only_the_data_can_tell_is_a_question_mark(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labelled = ["dataset=labelled", "dataset.path=."]
    assert code_of(["plan", *labelled, "grid=['epochs=0','epochs=2']"]) == 0
    rows = re.findall(r"^│ (\d) .* │ +(\S+) │ +(\S+) │$", capsys.readouterr().out, re.M)
    assert rows == [("1", "-", "-"), ("2", "?", "?")]


@pytest.mark.slow
def test_a_data_set_without_training_queries_is_named(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (elsewhere / "scifact" / "qrels").mkdir(parents=True)
    folder = ["dataset=beir", "dataset.path=scifact"]
    for epochs, code in ((0, 0), (1, 2)):
        assert code_of(["plan", *folder, f"epochs={epochs}"]) == code
    error = capsys.readouterr().err
    assert error.startswith("error: epochs=1: data set scifact has no training queries")
    assert "scifact/qrels/train.tsv" in error and "epochs=0" in error
    (elsewhere / "scifact" / "qrels" / "train.tsv.gz").touch()
    assert code_of(["plan", *folder, "epochs=1"]) == 0
    assert code_of(["plan", "dataset.max_train_queries=0", "epochs=1"]) == 2


def test_a_bad_point_stops_it(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("plan", "sweep"):
        assert code_of([command, "negatives=1,99"]) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: negatives=99: only mining.depth=5 are mined per query")
        assert error.count("\n") == 1
    assert list(elsewhere.iterdir()) == []
