"""Compute batches side by side on the cores of a CPU.

The threads of one forward pass wait for each other after every operation. So a batch for each core
is faster than all cores at one batch after the other.
"""

import math
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from itertools import pairwise
from typing import Any, TypeVar

import torch
from tqdm import tqdm

from pipeline.infra.hardware import Hardware

MOST = 4  # batches at a time; each takes memory for its activations
BATCH = "batch"  # begins the names of the threads that compute them

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(machine: Hardware) -> int:
    """Return how many batches to compute at a time; 1 but on a CPU with several threads."""
    return min(machine.threads, MOST) if machine.device == "cpu" else 1


def cut(items: Sequence[Item], size: int, at_once: int = 1) -> list[Sequence[Item]]:
    """Cut ``items`` into equal batches of at most ``size``.

    They are one, or a multiple of ``at_once``, so that no thread waits for the last one.
    """
    count = math.ceil(len(items) / max(1, size))
    if count > 1:
        count = at_once * math.ceil(count / at_once)
    ends = [len(items) * number // max(1, count) for number in range(count + 1)]
    return [items[start:end] for start, end in pairwise(ends)]


def compute(
    forward: Callable[[Sequence[Item]], Result],
    batches: Sequence[Sequence[Item]],
    machine: Hardware,
    at_once: int = 1,
    precision: Callable[[], AbstractContextManager[object]] | None = None,
    bar: "tqdm[Any] | None" = None,
) -> list[Result]:
    """Return ``forward(batch)`` of each batch, in their order; ``bar`` counts the items.

    With ``at_once`` above 1 so many threads take batches, each with its share of torch's threads.
    ``precision()`` is entered in each of them, as autocast is of one thread; by default it is that
    of scoring. If ``forward`` raises, no further batch begins.
    """
    left = iter(enumerate(batches))  # shared by the threads: each takes the next one
    results: list[Any] = [None] * len(batches)
    counting = threading.Lock()

    def work() -> None:
        with (precision or machine.autocast)():
            for place, batch in left:
                results[place] = forward(batch)
                if bar is not None:
                    with counting:
                        bar.update(len(batch))

    at_once = min(at_once, len(batches))
    if at_once < 2:
        work()
        return results
    own = (machine.threads // at_once,)
    try:
        with ThreadPoolExecutor(at_once, BATCH, torch.set_num_threads, own) as threads:
            try:
                for working in [threads.submit(work) for _ in range(at_once)]:
                    working.result()
            finally:
                deque(left, maxlen=0)  # After an error or Ctrl-C the other threads end as well.
    finally:
        torch.set_num_threads(machine.threads)  # New threads begin with the number set last.
    return results
