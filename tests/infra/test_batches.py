"""Batches side by side: every item once and in order, in the precision of each thread."""

import threading
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from tqdm import tqdm

from pipeline.infra import batches
from pipeline.infra.batches import compute, cut, side_by_side
from pipeline.infra.hardware import Hardware

TWO = Hardware("cpu", "fp32", 2, "test")


@pytest.mark.parametrize(
    ("items", "size", "at_once", "sizes"),
    [
        (0, 4, 2, []),
        (3, 4, 2, [3]),  # one query is not cut
        (5, 4, 1, [2, 3]),
        (5, 4, 2, [2, 3]),
        (9, 4, 2, [2, 2, 2, 3]),  # three would leave a thread without work
        (16, 4, 2, [4, 4, 4, 4]),
        (50, 32, 4, [12, 13, 12, 13]),
    ],
)
def test_no_thread_is_left_without_a_batch(
    items: int, size: int, at_once: int, sizes: list[int]
) -> None:
    found = cut(range(items), size, at_once)
    assert [len(batch) for batch in found] == sizes
    assert [item for batch in found for item in batch] == list(range(items))


@pytest.mark.parametrize(
    ("device", "threads", "expected"),
    [("cpu", 1, 1), ("cpu", 2, 2), ("cpu", 64, batches.MOST), ("cuda", 64, 1), ("mps", 8, 1)],
)
def test_batches_at_once(device: str, threads: int, expected: int) -> None:
    assert side_by_side(Hardware(device, "fp32", threads, "test")) == expected


@pytest.mark.parametrize("at_once", [1, 2])
def test_results_are_in_order_and_counted(at_once: int) -> None:
    with tqdm(total=9, disable=False, file=None, leave=False) as bar:
        found = compute(list, cut(range(9), 2), TWO, at_once, bar=bar)
        assert found == [[0], [1, 2], [3, 4], [5, 6], [7, 8]]
        assert bar.n == 9


def test_each_thread_has_its_share_and_the_precision() -> None:
    half = Hardware("cpu", "bf16", 2, "test")
    both = threading.Barrier(2)  # fails if one thread takes both batches

    def forward(batch: Sequence[int]) -> tuple[str, int, torch.dtype]:
        both.wait(timeout=30)
        product = torch.ones(2, 2) @ torch.ones(2, 2)
        return threading.current_thread().name, torch.get_num_threads(), product.dtype

    before = torch.get_num_threads()
    first, second = compute(forward, [[1], [2]], half, 2)
    assert first[0] != second[0]
    assert first[1:] == second[1:] == (1, torch.bfloat16)
    assert torch.get_num_threads() == before
    seen: list[int] = []
    new = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    new.start()
    new.join()
    assert seen == [2]


def test_after_an_error_no_further_batch_begins() -> None:
    begun: list[int] = []
    both = threading.Barrier(2)

    def fail(batch: Sequence[int]) -> None:
        begun.extend(batch)
        both.wait(timeout=30)
        raise ValueError(f"batch {batch[0]}")

    with pytest.raises(ValueError, match=r"batch [01]"):
        compute(fail, [[n] for n in range(40)], TWO, 2)
    assert sorted(begun) == [0, 1]


def test_a_product_is_the_same_in_either_way() -> None:
    weights = torch.from_numpy(np.random.default_rng(0).normal(size=(16, 16)).astype(np.float32))

    def forward(rows: Sequence[int]) -> torch.Tensor:
        return weights[list(rows)] @ weights

    one, two = (torch.cat(compute(forward, cut(range(16), 4), TWO, n)) for n in (1, 2))
    assert torch.allclose(one, two, atol=1e-6)
