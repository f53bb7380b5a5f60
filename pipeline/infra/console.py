"""The terminal: one live line a process, with the log lines above it.

The line says what is at work, how far it is and how long it takes still, and is gone when that
has ended. Where standard error is no terminal there is none.
"""

import logging
import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

ERASE_LINE = "\r\x1b[2K"

_point = ""
_place = 0


def own_line(point: str, place: int = 0) -> None:
    """Begin the lines of this process with ``point``, in line ``place`` below the log.

    Processes that share a terminal have a place each, counted from 0.
    """
    global _point, _place
    _point, _place = point, place


def live_line(
    stage: str,
    unit: str,
    items: Iterable[Any] | None = None,
    total: int | None = None,
    done: int = 0,
    hidden: bool = False,
) -> "tqdm[Any]":
    """``colbert_minilm_l6_2neg_1ep: train  45%|...`` while ``items`` are taken.

    Without ``items`` the caller updates what is returned. ``total`` is how many there will be,
    where that is known and ``items`` do not say it, ``done`` of which are done already.
    """
    return tqdm(
        items,
        desc=f"{_point}: {stage}" if _point else stage,
        total=total,
        initial=done,
        unit=unit,
        position=_place,
        leave=False,
        dynamic_ncols=True,
        disable=True if hidden else None,
    )


class Console(logging.StreamHandler[Any]):
    """Log lines on standard error, above the live lines of this and of other processes."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line where the first live line is; each is drawn anew at its next step."""
        with tqdm.external_write_mode(self.stream):
            if self.stream.isatty():
                self.stream.write(ERASE_LINE)
            super().emit(record)
