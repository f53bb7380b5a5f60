"""A signal ends a command as Ctrl-C does, with an exit code of its own."""

import pickle
import signal
import subprocess
import sys

import pytest

from pipeline.infra.signals import Terminated
from pipeline.infra.steps import step, step_of


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


def test_terminated_reaches_another_process() -> None:
    with pytest.raises(Terminated) as raised, step("train"):
        raise Terminated(signal.SIGTERM)
    found = pickle.loads(pickle.dumps(raised.value))
    assert (type(found), str(found), step_of(found)) == (Terminated, "SIGTERM", "train")
