"""Live lines and log lines in a real pseudo-terminal, and in a pipe."""

import os
import pty
import subprocess
import sys
import termios
import time
from io import StringIO
from pathlib import Path

import pytest

from pipeline.infra import console
from pipeline.infra.stage_cache import StageCache
from pipeline.infra.steps import step

SCRIPT = """
import logging, time
from pipeline.infra.console import Console, live_line, own_line
logging.basicConfig(level="INFO", handlers=[Console()], format="%(message)s")
with own_line("colbert_minilm_l6", {place}):
    for number in live_line("train", "step", range(4)):
        time.sleep(0.15)
        if number == 1:
            logging.info("the loss is flat")
logging.info("done")
"""


def shown(place: int = 0) -> str:
    """Everything that the script writes to a terminal of 60 columns."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (20, 60))
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(place=place)], stderr=theirs
    ) as process:
        os.close(theirs)
        written = b""
        while True:
            try:
                written += os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
    os.close(ours)
    assert process.returncode == 0
    return written.decode()


def screen(written: str) -> list[str]:
    """The lines that remain, by the few control sequences that are used."""
    lines, row, column = [""], 0, 0
    text = written.replace("\x1b[2K", "\0").replace("\x1b[A", "\1")
    for character in text:
        if character == "\r":
            column = 0
        elif character == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif character == "\0":
            lines[row] = ""
        elif character == "\1":
            row -= 1
        else:
            lines[row] = lines[row].ljust(column)[:column] + character + lines[row][column + 1 :]
            column += 1
    return [line.rstrip() for line in lines]


def test_a_live_line_under_the_log_that_leaves_nothing() -> None:
    written = shown()
    assert "colbert_minilm_l6: train:  50%|" in written
    assert "s/step" in written or "step/s" in written
    assert [line for line in screen(written) if line] == ["the loss is flat", "done"]


def test_the_line_of_a_second_process_is_below() -> None:
    assert "\n\rcolbert_minilm_l6: train" in shown(place=1).replace("\r\n", "\n")


def test_no_line_where_nobody_watches() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(place=0)], capture_output=True, text=True, check=True
    )
    assert done.stderr == "the loss is flat\ndone\n"


def test_a_log_line_from_time_to_time_where_nobody_watches(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setattr(console, "BEAT", 0.3)
    monkeypatch.setattr("sys.stderr", StringIO())

    def build(folder: Path) -> None:
        for _ in console.live_line("embed passages", "passage", range(1200)):
            while not any("1,200" in line for line in caplog.messages):
                time.sleep(0.01)

    with caplog.at_level("INFO"), step("index"):
        cache = StageCache(tmp_path)
        cache.get("index", {"a": 1}, build)
        cache.get("index", {"a": 1}, build)  # found at once, so nothing is said
    first, *beats = caplog.messages
    assert first == "index: computing"
    assert set(beats) == {"index: embed passages, 0 of 1,200 (passage) after 0 min"}


def test_a_part_that_has_ended_is_no_longer_the_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """As dev queries are scored while a model trains."""
    monkeypatch.setattr("sys.stderr", StringIO())
    with step("model"):
        with console.live_line("train", "step", total=9) as training:
            training.update(3)
            with console.live_line("score pairs", "passage", total=1200) as scoring:
                scoring.update(100)
                assert console._progress() == "score pairs, 100 of 1,200 (passage)"
            assert console._progress() == "train, 3 of 9 (step)"
        assert console._progress() == "at work"
