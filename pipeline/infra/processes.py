"""Work on many items in several processes, one for each core."""

import math
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from typing import TypeVar

MOST = 8  # processes: each starts for a second and takes some hundred MB

Item = TypeVar("Item")
Result = TypeVar("Result")


def cores() -> int:
    """Count the cores that this process may use, which a scheduler can limit."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_processes(
    function: Callable[[Item], Result], items: Sequence[Item], chunk: int
) -> Iterator[Result]:
    """Yield ``function(item)`` for all ``items``, in their order.

    A process takes ``chunk`` items at a time. There are no more processes than chunks, and none is
    started for one. If the caller stops early, no further chunk begins. Both the function and the
    items must be picklable, and the items should take long, as a process needs a second to start.

    Raises:
        BrokenProcessPool: a process was killed.
        Exception: what ``function`` raises.
    """
    processes = min(cores(), MOST, math.ceil(len(items) / chunk))
    if processes < 2:
        yield from map(function, items)
        return
    # A forked process could inherit a lock that a thread of this one holds.
    own = get_context("spawn")
    with ProcessPoolExecutor(processes, own, initializer=_end_with_parent) as pool:
        with _interrupts_held_back():
            results = pool.map(function, items, chunksize=chunk)
        yield from results  # Left early, it cancels the chunks that have not begun.


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Let Ctrl-C wait until the end of the block; processes that it starts never see one.

    A terminal sends Ctrl-C to all of them, and each would print a traceback.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent() -> None:
    """End this process when its parent has been killed, which does not end it otherwise."""

    def watch() -> None:
        parent = parent_process()
        assert parent is not None
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
