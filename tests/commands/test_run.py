"""One point from the command line: mistakes are one line, and leave nothing behind."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.commands.conftest import code_of
from tests.points import QUIET, TINY


def write_lines(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


BAD = {
    "misspelt key": (["trian.learning_rate=1"], "did you mean train.learning_rate"),
    "misspelt key, appended": (["+train.lr=1"], "train.lr: no such key; did you mean train.le"),
    "unknown group": (
        ["arch=cross"],
        "arch=cross: none of colbert, colbert_published, cross_encoder, ",
    ),
    "negative": (["negatives=-1"], "negatives=-1: must be at least 0"),
    "not a number": (["epochs=two"], "epochs=two: must be a whole number"),
    "top_k over the corpus": (
        [*TINY, "dataset.max_corpus=24", "eval.top_k=[30]", "arch=none", "epochs=0"],
        "eval.top_k=[30]: data set pydocs has only 24 passages",
    ),
    "no qrels": (["dataset=beir", "dataset.path=beir", "epochs=0"], "beir/qrels/test.tsv: no such"),
    "bad line": (["dataset=labelled", "dataset.path=pairs.csv"], 'pairs.csv:3: "label" is -1'),
    "no folder": (["dataset=beir", "dataset.path=nowhere"], "dataset.path=nowhere"),
    "base": (["base.path=no/such-model"], "base.path=no/such-model"),
    "hub data": (["dataset=gooaq"], "dataset=pydocs"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_exit_code_2(
    case: str, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides, said = BAD[case]
    write_lines(elsewhere / "beir" / "corpus.jsonl", ['{"_id": "d1", "text": "one"}'])
    write_lines(elsewhere / "beir" / "queries.jsonl", ['{"_id": "q1", "text": "two"}'])
    write_lines(elsewhere / "pairs.csv", ["query,text,label", "one,two,1", "one,three,-1"])
    assert code_of([*overrides, *QUIET]) == 2
    printed, errors = capsys.readouterr()
    lines = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert said in lines[0]
    assert "Error executing job" not in errors
    assert "Traceback" not in errors
    assert not (elsewhere / "outputs" / "mlflow.db").exists()
    assert printed == ""


EARLY = {
    "dataset.path": (
        ["dataset=labelled", "dataset.path=no.csv"],
        "dataset.path=no.csv: no such file or folder",
    ),
    "output_dir": (
        ["output_dir=file/below"],
        "output_dir=file/below: not writable ({}/file: is a file)",
    ),
    "run_name, too long": (
        [f"run_name={'x' * 301}"],
        f"run_name={'x' * 301}: must have 1 to 200 bytes and no /",
    ),
    "run_name, empty": (["run_name=''"], "run_name=: must have 1 to 200 bytes and no /"),
    "run_name, a path": (["run_name=a/b"], "run_name=a/b: must have 1 to 200 bytes and no /"),
    "windows": (
        ["rerank.windows=256"],
        "rerank.windows=256: the model reads 128 tokens, query included; take fewer",
    ),
}


@pytest.mark.parametrize("command", ["run", "sweep"])
@pytest.mark.parametrize("case", EARLY)
def test_what_no_point_can_start_with_is_told_before_any_folder_is_made(
    case: str, command: str, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides, said = EARLY[case]
    (elsewhere / "file").touch()
    assert code_of([command, *overrides]) == 2
    assert capsys.readouterr().err == f"error: {said.format(elsewhere)}\n"
    assert [path.name for path in elsewhere.iterdir()] == ["file"]


def test_a_tracking_server_that_is_away_is_told_before_any_work(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    away = "tracking.uri=http://127.0.0.1:9"
    assert code_of([*TINY, "arch=none", "base=none", "negatives=0", "epochs=0", away, *QUIET]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "does not answer" in errors[0]
    assert not list(elsewhere.glob("outputs/cache/*/*"))
