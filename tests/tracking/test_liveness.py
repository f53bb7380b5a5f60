"""Which tags are those of a process that is gone, and which are this process's own."""

import time

import psutil
import pytest

from pipeline.tracking.liveness import is_dead, is_mine, process_tags


def test_a_pid_that_somebody_else_has_now() -> None:
    mine = process_tags()
    assert not is_dead(mine)
    assert is_mine(mine)
    assert is_dead({**mine, "pid_started": str(float(mine["pid_started"]) - 100)})


@pytest.mark.parametrize("elsewhere", ["host", "boot", "pid_namespace"])
def test_a_pid_of_another_place_says_nothing(elsewhere: str) -> None:
    """Two containers may have one host name; each counts its processes from 1."""
    free = next(pid for pid in range(99_999, 1, -1) if not psutil.pid_exists(pid))
    there = {**process_tags(), elsewhere: "another"}
    assert not is_mine(there)
    assert not is_dead({**there, "pid": str(free)})
    assert is_dead({**there, "heartbeat": f"{time.time() - 1000:.0f}"})


def test_runs_of_other_programs_and_of_earlier_versions() -> None:
    assert not is_dead({"host": "here"})
    old = {key: process_tags()[key] for key in ("host", "pid", "pid_started")}
    assert not is_dead({**old, "heartbeat": f"{time.time():.0f}"})
