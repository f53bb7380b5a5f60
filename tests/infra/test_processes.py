import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from pipeline.infra import processes
from pipeline.infra.processes import cores, in_processes

SLOW = """
import os, signal, sys, time
from pathlib import Path
from pipeline.infra import processes

processes.cores = lambda: 2

def sleep(number):
    Path(sys.argv[1], f"{number}-{os.getpid()}").touch()
    time.sleep(0.5)

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # A shell's background jobs ignore it.
    try:
        list(processes.in_processes(sleep, range(40), 1))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
"""


def number_of(text: str) -> int:
    return int(text)


def place_of(item: int) -> int:
    return os.getpid()


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "cores", lambda: 2)


@pytest.mark.usefixtures("two_cores")
def test_results_are_in_order_and_of_other_processes() -> None:
    assert list(in_processes(number_of, [str(n) for n in range(50)], 3)) == list(range(50))
    assert os.getpid() not in set(in_processes(place_of, range(4), 1))


@pytest.mark.usefixtures("two_cores")
def test_one_chunk_needs_no_process() -> None:
    assert set(in_processes(place_of, range(4), 4)) == {os.getpid()}
    assert list(in_processes(place_of, [], 4)) == []


def test_one_core_needs_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "cores", lambda: 1)
    assert set(in_processes(place_of, range(4), 1)) == {os.getpid()}


@pytest.mark.usefixtures("two_cores")
def test_an_error_of_the_function_arrives() -> None:
    with pytest.raises(ValueError, match="invalid literal for int"):
        list(in_processes(number_of, ["1", "two", "3"], 1))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit the cores")
def test_cores_are_those_that_a_scheduler_allows() -> None:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[tuple["subprocess.Popen[str]", Path]]:
    """A program in a process group of its own with two processes that sleep, and their marks."""
    program, marks = tmp_path / "slow.py", tmp_path / "marks"
    program.write_text(SLOW)
    marks.mkdir()
    command = [sys.executable, str(program), str(marks)]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        yield running, marks
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it has not happened in a minute"
        time.sleep(0.02)


def workers_of(program: "subprocess.Popen[str]") -> list[psutil.Process]:
    children = psutil.Process(program.pid).children()
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


def test_ctrl_c_prints_nothing_and_begins_no_further_item(
    slow: tuple["subprocess.Popen[str]", Path],
) -> None:
    program, marks = slow
    wait_for(lambda: len(workers_of(program)) == 2)  # which import now
    os.killpg(program.pid, signal.SIGINT)  # as a terminal does
    _, printed = program.communicate(timeout=60)
    assert printed == "interrupted\n"
    assert len(list(marks.iterdir())) < 10


def test_a_killed_parent_leaves_no_process(slow: tuple["subprocess.Popen[str]", Path]) -> None:
    program, marks = slow
    wait_for(lambda: len(list(marks.iterdir())) > 2)
    workers = workers_of(program)
    program.kill()
    assert len(workers) == 2
    assert psutil.wait_procs(workers, timeout=30)[1] == []
