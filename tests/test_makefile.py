"""The Makefile passes on what is given, and refuses what nothing reads."""

import os
import subprocess
from pathlib import Path

import pytest

from pipeline.config import conf_dir


@pytest.mark.parametrize(
    ("words", "ran"),
    [
        ([], "-m pipeline run"),
        (["EXPERIMENT=finetune"], "-m pipeline run experiment=finetune"),
        (["ARGS=arch=colbert seed=1"], "-m pipeline run arch=colbert seed=1"),
    ],
)
def test_make_run_takes_the_experiment_that_is_given(words: list[str], ran: str) -> None:
    done = _make("-n", "run", "VENV=none", *words)
    assert done.returncode == 0, done.stderr
    assert " ".join(done.stdout.splitlines()[-1].split()) == f"none/bin/python {ran}"


@pytest.mark.parametrize(
    ("target", "given", "instead"),
    [
        ("sweep", "arch=colbert", 'make sweep ARGS="arch=colbert"'),
        ("audit", "FILE=x.csv", "make audit DATA=FILE"),
    ],
)
def test_make_refuses_a_variable_that_nothing_reads(target: str, given: str, instead: str) -> None:
    done = _make("-n", target, given)
    assert done.returncode == 2
    assert instead in done.stderr


def test_processes_of_make_keep_their_bytecode(tmp_path: Path) -> None:
    """Without it each process compiles all that it imports."""
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\necho bytecode=$PYTHONDONTWRITEBYTECODE.\n")
    python.chmod(0o755)
    (tmp_path / ".installed").touch()
    done = _make("run", f"VENV={tmp_path}", PYTHONDONTWRITEBYTECODE="1")
    assert done.stdout == "bytecode=.\n", done.stderr


def _make(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "-f", str(conf_dir().parent / "Makefile"), *words],
        env={"PATH": os.environ["PATH"], **environment},  # nothing of a make test that runs this
        capture_output=True,
        text=True,
        check=False,
    )
