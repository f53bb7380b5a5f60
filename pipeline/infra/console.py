"""Show one live progress line per process, with the log lines above it.

The line is removed when its work has ended. There is none if standard error is no terminal.
"""

import logging
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

ERASE_LINE = "\r\x1b[2K"


@dataclass
class _OwnLine:
    point: str = ""  # name before each step
    place: int = 0  # rows below the log


_line = _OwnLine()  # one a process, as the terminal is


def own_line(point: str, place: int = 0) -> None:
    """Name the point of this process's live lines, and the row below the log where they appear.

    Processes that share a terminal have a row each, counted from 0.
    """
    _line.point, _line.place = point, place


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
    return tqdm(
        items,
        desc=f"{_line.point}: {stage}" if _line.point else stage,
        total=total,
        initial=done,
        unit=unit,
        position=_line.place,
        leave=False,
        dynamic_ncols=True,
        disable=True if hidden else None,
    )


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
