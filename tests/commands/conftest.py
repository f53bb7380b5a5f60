"""Commands run in this process, in a folder of their own."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.__main__ import dispatch
from pipeline.infra.errors import exit_code


@pytest.fixture(autouse=True)
def what_hydra_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put back what the command ``run`` sets for Hydra in this process."""
    monkeypatch.setattr(sys, "argv", ["pipeline"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the working directory during the test."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def code_of(words: Sequence[object]) -> int:
    """The exit code of ``python -m pipeline WORDS``, run in this process."""
    try:
        return exit_code(lambda: dispatch([str(word) for word in words]))
    except SystemExit as ended:  # of argparse, after a help text
        return int(ended.code or 0)
