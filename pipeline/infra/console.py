"""Show one live progress line per process, with the log lines above it.

The line is removed when its work has ended. If standard error is no terminal, there is no live
line, and a log line every minute in its place.
"""

import logging
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tqdm import tqdm

log = logging.getLogger(__name__)

ERASE_LINE = "\r\x1b[2K"
BEAT = 60.0  # seconds between two log lines of one work


@dataclass
class _OwnLine:
    point: str = ""  # name before each step
    place: int = 0  # rows below the log
    works: list[object] = field(default_factory=list)  # that are open, the inner one last
    bars: list["tqdm[Any]"] = field(default_factory=list)  # of the inner work, the newest last


_line = _OwnLine()  # one a process, as the terminal is


@contextmanager
def own_line(point: str, place: int = 0) -> Iterator[None]:
    """Name the point of this process's live lines, and their row below the log, within the block.

    Processes that share a terminal have a row each, counted from 0.
    """
    before = _line.point, _line.place
    _line.point, _line.place = point, place
    try:
        yield
    finally:
        _line.point, _line.place = before


def live_line(
    stage: str,
    unit: str,
    items: Iterable[Any] | None = None,
    total: int | None = None,
    done: int = 0,
    hidden: bool = False,
) -> "tqdm[Any]":
    """Show ``colbert_minilm_l6_2neg_1ep: train  45%|...`` while ``items`` are consumed.

    Without ``items`` the caller updates the returned bar. ``total`` is the number of items, if it
    is known and ``items`` have no length. ``done`` of them are done already.
    """
    watched = sys.stderr.isatty()
    bar = tqdm(
        items,
        desc=_named(stage),
        file=sys.stderr if watched else _Nowhere(),
        total=total,
        initial=done,
        unit=unit,
        position=_line.place,
        leave=False,
        dynamic_ncols=True,
        disable=hidden,
    )
    if not hidden:
        _line.bars = [*_open_bars(), bar]
    return bar


@contextmanager
def working(name: str) -> Iterator[None]:
    """Without a terminal, log every minute within the block how far it is.

    Of nested blocks only the inner one is logged.
    """
    if sys.stderr.isatty():
        yield
        return
    over, own, begun = threading.Event(), object(), time.monotonic()

    def beat() -> None:
        while not over.wait(BEAT):
            if _line.works[-1:] == [own]:
                minutes = (time.monotonic() - begun) / 60
                log.info("%s: %s after %.0f min", _named(name), _progress(), minutes)

    _line.works.append(own)
    outer, _line.bars = _line.bars, []
    threading.Thread(target=beat, daemon=True).start()
    try:
        yield
    finally:
        over.set()
        _line.works.remove(own)
        _line.bars = outer


def announce(text: str) -> None:
    """Log ``text`` where no live line shows what is being done."""
    if not sys.stderr.isatty():
        log.info("%s", _named(text))


def _open_bars() -> list["tqdm[Any]"]:
    return [bar for bar in _line.bars if not bar.disable]  # which tqdm sets at the end


def _named(text: str) -> str:
    return f"{_line.point}: {text}" if _line.point else text


def _progress() -> str:
    """Return ``embed passages, 1,200 of 9,000 (passage)`` of the newest bar that has not ended."""
    bars = _open_bars()
    if not bars:
        return "at work"
    bar = bars[-1]
    total = "" if bar.total is None else f" of {bar.total:,}"
    step = str(bar.desc).removesuffix(": ").rpartition(": ")[2]
    return f"{step}, {bar.n:,}{total} ({bar.unit})"


class _Nowhere:
    """A file that keeps nothing, for bars that only count."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass


class Console(logging.StreamHandler[Any]):
    """Log lines on standard error, above the live lines of this and of other processes."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line over the first live line; live lines are drawn again at the next step."""
        with tqdm.external_write_mode(self.stream):
            if self.stream.isatty():
                self.stream.write(ERASE_LINE)
            super().emit(record)
