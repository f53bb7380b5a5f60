"""What a process gets of a machine that several points share: some threads, one GPU.

For launchers that start processes here and leave it to them (joblib, submitit's local one). The
first free place is taken by a lock, which the system frees when the process ends.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout

_places: dict[Path, tuple[int, FileLock]] = {}  # of this process, held until it ends


def take_share(folder: Path, at_once: int) -> int:
    """Once a process: 1/``at_once`` of the cores for torch, and the GPU of its place, if any.

    ``folder`` is one that all processes see. With more processes than GPUs some share one.
    Returns the process's place, 0 to ``at_once`` - 1.
    """
    if folder in _places:
        return _places[folder][0]
    place, lock = _take_place(folder, at_once)
    _places[folder] = place, lock
    # Before torch looks for GPUs: a library that sees several spreads one point over all.
    if gpus := _visible_gpus():
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus[place % len(gpus)]
    import torch

    torch.set_num_threads(max(1, (os.cpu_count() or 1) // at_once))
    return place


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
