"""Errors and signals as exit codes."""

import subprocess
import sys

import pytest

from pipeline.infra.errors import exit_code
from pipeline.records import Refused


def test_sigterm_ends_like_ctrl_c() -> None:
    program = (
        "import os, signal, sys\n"
        "from pipeline.infra.errors import exit_code\n"
        "def work():\n"
        "    try:\n        os.kill(os.getpid(), signal.SIGTERM)\n        signal.pause()\n"
        "    finally:\n        print('closed')\n"
        "sys.exit(exit_code(work))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (143, "closed\n", "terminated\n")


def test_a_refusal_is_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse() -> None:
        raise Refused("sweep is running")

    assert exit_code(refuse) == 1
    assert capsys.readouterr().err == "refused: sweep is running\n"
