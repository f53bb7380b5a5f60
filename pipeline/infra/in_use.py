"""Tell ``clean-cache`` that a cache of stage outputs is in use, also by what records no run.

Every user holds a shared lock of the operating system on ``CACHE/.in-use``, which ends with its
process at the latest. ``clean-cache`` needs the lock for itself. It works between the processes of
a machine, and on network file systems that have such locks.
"""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pipeline.records import Refused

log = logging.getLogger(__name__)

FILE = ".in-use"


def hold(folder: Path) -> int | None:
    """Take the shared lock of a cache; return the descriptor that frees it when it is closed.

    None if the folder is missing, or its file system has no such locks or can't be written to.
    A running clean-cache is waited for.
    """
    descriptor = None
    try:
        descriptor = os.open(folder / FILE, os.O_RDONLY | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("waiting for clean-cache, which removes folders of %s", folder)
            fcntl.flock(descriptor, fcntl.LOCK_SH)
    except OSError:
        if descriptor is not None:
            os.close(descriptor)
        return None
    return descriptor


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the shared lock of a cache within the block."""
    descriptor = hold(folder)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep all others from using a cache within the block; without locks, do nothing.

    Raises:
        Refused: another process uses it.
    """
    with ExitStack() as stack:
        try:
            descriptor = os.open(folder / FILE, os.O_RDWR | os.O_CREAT, 0o666)
            stack.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Refused(
                f"{folder} is in use by another process, as a run, evaluate, score or promote: "
                "wait for it or stop it"
            ) from error
        except OSError as error:
            log.debug("%s can't be locked: %s", folder, error)
        yield
