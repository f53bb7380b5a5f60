"""Train one point with several processes: ``torchrun --nproc-per-node=4 -m pipeline``.

The process of rank 0 does everything, from the data to the record of the run. The other processes
wait until it trains, train with it, each on its share of every batch, and end with it.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import distributed as dist

PATIENCE = timedelta(days=7)  # Rank 0 may embed and mine for long before it trains.
TRAIN, END = "train", "end"


def world_size() -> int:
    """The number of processes, from torchrun's environment."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """The number of this process; 0 leads."""
    return int(os.environ.get("RANK", "0"))


class Leader:
    """Rank 0, which starts and ends the training of the other processes."""

    def __init__(self) -> None:
        self.is_training = False

    @contextmanager
    def training(self) -> Iterator[None]:
        """Let the other processes take part in the training of the block."""
        if world_size() > 1:
            _say(TRAIN)
        self.is_training = True
        yield
        self.is_training = False


@contextmanager
def leading() -> Iterator[Leader]:
    """Run the block as rank 0 and end the other processes with it, if there are any."""
    leader = Leader()
    if world_size() == 1:
        yield leader
        return
    _join()
    try:
        yield leader
    finally:
        # Processes in the middle of a step hear nothing; torchrun ends them.
        if not leader.is_training:
            _say(END)
            dist.destroy_process_group()


def follow(train: Callable[[], object]) -> None:
    """Run another process than rank 0: ``train()`` whenever rank 0 trains, until it ends."""
    _join()
    while _hear() == TRAIN:
        train()
    dist.destroy_process_group()


def any_of(*here: bool) -> list[bool]:
    """For each flag whether it is set in any process; all processes must call this together."""
    if world_size() == 1:
        return list(here)
    flags = torch.tensor(here, dtype=torch.uint8)
    dist.all_reduce(flags, dist.ReduceOp.MAX)
    return [bool(flag) for flag in flags]


def sum_over_all(here: int) -> int:
    """Add up a number of all processes, which must call this together."""
    if world_size() == 1:
        return here
    total = torch.tensor(here)
    dist.all_reduce(total)
    return int(total)


def wait_for_all() -> None:
    """Return when all processes have called this."""
    if world_size() > 1:
        any_of(True)


def _join() -> None:
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        backend = "cpu:gloo,cuda:nccl"
    else:
        # The trainers make a second set of arguments, without use_cpu.
        os.environ["ACCELERATE_USE_CPU"] = "true"
    dist.init_process_group(backend, timeout=PATIENCE)


def _say(word: str) -> None:
    dist.broadcast_object_list([word], src=0, device=torch.device("cpu"))


def _hear() -> str:
    words = [""]
    dist.broadcast_object_list(words, src=0, device=torch.device("cpu"))
    return words[0]
