"""Mistakes in the command line of ``audit``."""

from pathlib import Path

import pytest

from tests.audit.conftest import write
from tests.commands.conftest import code_of


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--column", "txt=a"], "--column txt=a: give ROLE=NAME, ROLE one of query, text"),
        (["--max-length", "4"], "max_length=4: must be at least 8 tokens"),
        (["--near-duplicate", "0"], "near_duplicate=0.0: must be above 0"),
        (["--base", "/no/such"], "base=/no/such: neither a folder nor a model"),
        (["--corpus", "/no/such.csv"], "/no/such.csv: no such file"),
    ],
)
def test_wrong_arguments_are_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = write(tmp_path / "a.jsonl", [{"query": "a", "text": "b", "label": 1}])
    assert code_of(["audit", data, "--output", tmp_path / "out", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()
