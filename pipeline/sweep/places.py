"""Give each process its share of a machine that several points use: some threads, one GPU.

This is for launchers that leave it to the processes they start (joblib, submitit's local one). A
process takes the first free place by a lock, which the operating system frees when it ends.
"""

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.infra.processes import cores


def take_share(folder: Path, at_once: int) -> int:
    """Give torch 1/``at_once`` of the cores, and the GPU of this process's place if there is one.

    ``folder`` is one that all processes see. With more processes than GPUs some share a GPU.
    Returns the place, 0 to ``at_once`` - 1. Further calls of the process return the same place.
    """
    return _share(folder, at_once)[0]


@cache
def _share(folder: Path, at_once: int) -> tuple[int, FileLock]:
    """Take a place once. The cache keeps the lock until the process ends."""
    place, lock = _take_place(folder, at_once)
    # This comes before torch looks for GPUs: a library that sees several would use all of them.
    if gpus := _visible_gpus():
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus[place % len(gpus)]
    import torch

    torch.set_num_threads(max(1, cores() // at_once))
    return place, lock


def _take_place(folder: Path, at_once: int) -> tuple[int, FileLock]:
    folder.mkdir(parents=True, exist_ok=True)
    for place in range(at_once):
        lock = FileLock(folder / f".place-{place}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        return place, lock
    raise RuntimeError(f"{folder}: all {at_once} places are taken")


def _visible_gpus() -> Sequence[str]:
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [gpu for gpu in named.split(",") if gpu]
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]
