"""One point on several processes: ``torchrun --nproc-per-node=4 -m pipeline arch=colbert``.

The process of rank 0 does everything, from the data to the record of the run. The others wait
until it trains, train with it, each on its share of every batch, and end with it.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import distributed as dist

PATIENCE = timedelta(days=7)  # rank 0 may embed and mine for long before it trains
TRAIN, END = "train", "end"

_training = False  # between the processes, so rank 0 must not say anything else


def world_size() -> int:
    """How many processes there are; torchrun tells it in the environment."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """0 for the process that leads."""
    return int(os.environ.get("RANK", "0"))


@contextmanager
def leading() -> Iterator[None]:
    """The body of rank 0, at whose end the others end too; nothing where it is alone."""
    if world_size() == 1:
        yield
        return
    _join()
    try:
        yield
    finally:
        if not _training:  # else the others are in the middle of a step; torchrun ends them
            _say(END)
            dist.destroy_process_group()


@contextmanager
def training() -> Iterator[None]:
    """The training of rank 0, in which the others take part."""
    global _training
    if world_size() > 1:
        _say(TRAIN)
    _training = world_size() > 1
    yield
    _training = False


def follow(train: Callable[[], object]) -> None:
    """What the other processes do: ``train()`` whenever rank 0 does, until it ends."""
    _join()
    while _hear() == TRAIN:
        train()
    dist.destroy_process_group()


def any_of(*here: bool) -> list[bool]:
    """For each flag whether it is set in any of the processes, which must all ask."""
    if world_size() == 1:
        return list(here)
    flags = torch.tensor(here, dtype=torch.uint8)
    dist.all_reduce(flags, dist.ReduceOp.MAX)
    return [bool(flag) for flag in flags]


def wait_for_all() -> None:
    """Return when all processes have come here."""
    if world_size() > 1:
        any_of(True)


def _join() -> None:
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        backend = "cpu:gloo,cuda:nccl"
    else:  # the trainers make a second set of arguments that does not know of use_cpu
        os.environ["ACCELERATE_USE_CPU"] = "true"
    dist.init_process_group(backend, timeout=PATIENCE)


def _say(word: str) -> None:
    dist.broadcast_object_list([word], src=0, device=torch.device("cpu"))


def _hear() -> str:
    words = [""]
    dist.broadcast_object_list(words, src=0, device=torch.device("cpu"))
    return words[0]
