"""Requests that wait are scored together, and none harms another."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from pipeline.config.stages import RerankConfig
from pipeline.protocols import Scorer
from pipeline.rerankers.batching import SLICE, Batcher, Busy, NotScored, Scored, ScoredBatch
from pipeline.rerankers.windows import WindowedScorer
from tests.scorers import Watched
from tests.servers import until

JOBS = [
    ("merge two configurations", ["Merges.", "Pops an item from the list. " * 5, "Draws."]),
    ("draw", ["Draws a graph with a layout.", "One"]),
    ("é", ["Éclair " * 30]),
]


def run(
    model: Scorer,
    steps: Callable[[Batcher], Coroutine[Any, Any, None]],
    most_pairs: int = 100,
    most_waiting: int = 8,
) -> list[ScoredBatch]:
    """Run ``steps`` beside a batcher; return what it scored together."""
    batches: list[ScoredBatch] = []

    async def main() -> None:
        batcher = Batcher(model, most_pairs, most_waiting, batches.append)
        worker = asyncio.create_task(batcher.run())
        await steps(batcher)
        worker.cancel()

    asyncio.run(main())
    return batches


async def start(batcher: Batcher, jobs: Sequence[tuple[str, list[str]]]) -> list[Any]:
    """Tasks of the jobs, in the queue."""
    tasks = [asyncio.create_task(batcher.score(*job)) for job in jobs]
    await asyncio.sleep(0)
    return tasks


async def begun(model: Watched, calls: int) -> None:
    """Return when the model has been called so often."""
    while len(model.calls) < calls:
        await asyncio.sleep(0.001)


def alone(model: Scorer, query: str, passages: list[str]) -> list[float]:
    ids = {str(i): text for i, text in enumerate(passages)}
    scores: list[float] = model.score_pairs({"q": query}, ids, [("q", i) for i in ids]).tolist()
    return scores


@pytest.mark.parametrize("arch", ["cross_encoder", "colbert"])
def test_what_waits_is_scored_in_one_call_as_if_alone(
    arch: str, loaded: Callable[[str], Scorer]
) -> None:
    model = Watched(loaded(arch))

    async def steps(batcher: Batcher) -> None:
        first = await start(batcher, JOBS[:1])
        await begun(model, 1)
        rest = await start(batcher, [*JOBS, *JOBS])
        model.gate.set()
        results = await asyncio.gather(*first, *rest)
        for job, scored in zip([JOBS[0], *JOBS, *JOBS], results, strict=True):
            assert scored.scores == pytest.approx(alone(model.model, *job), abs=1e-4)
        waited.extend(scored.waited for scored in results)

    waited: list[float] = []
    first, second = run(model, steps)
    assert model.calls == [first.pairs, second.pairs] == [3, 12]
    assert waited == [*first.waited, *second.waited]


def test_a_batch_has_a_bound(watched: Watched) -> None:
    watched.gate.clear()

    async def steps(batcher: Batcher) -> None:
        tasks = await start(batcher, [("first", ["a"])])
        await begun(watched, 1)
        tasks += await start(batcher, [("q", ["a", "b"])] * 3 + [("large", ["a"] * 9)])
        watched.gate.set()
        await asyncio.gather(*tasks)

    run(watched, steps, most_pairs=5)
    assert watched.calls == [1, 4, 2, 9]


@pytest.mark.parametrize("bad", ["not finite", "raise"])
def test_a_request_that_fails_harms_no_other(bad: str, watched: Watched) -> None:
    watched.gate.clear()

    async def steps(batcher: Batcher) -> None:
        first = await start(batcher, [("first", ["a"])])
        await begun(watched, 1)
        tasks = await start(batcher, [JOBS[0], ("q", ["fine", bad]), JOBS[1]])
        watched.gate.set()
        _, one, failed, two = await asyncio.gather(*first, *tasks, return_exceptions=True)
        assert isinstance(one, Scored) and isinstance(two, Scored)
        assert one.scores == pytest.approx(alone(watched.model, *JOBS[0]), abs=1e-4)
        assert two.scores == pytest.approx(alone(watched.model, *JOBS[1]), abs=1e-4)
        assert isinstance(failed, NotScored)
        assert ("document 1" in str(failed)) == (bad == "not finite")

    run(watched, steps)
    assert watched.calls == [1, 7] + ([3, 2, 2] if bad == "raise" else [])


def test_too_many_wait_and_one_that_leaves_makes_room(watched: Watched) -> None:
    watched.gate.clear()

    async def steps(batcher: Batcher) -> None:
        first = await start(batcher, [("first", ["a"])])
        await begun(watched, 1)
        left, stays = await start(batcher, [("left", ["a"] * 4), ("stays", ["a", "b"])])
        with pytest.raises(Busy):
            await batcher.score("too many", ["a"])
        left.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        comes = await start(batcher, [("comes", ["a"])])
        watched.gate.set()
        await asyncio.gather(*first, stays, *comes)

    run(watched, steps, most_waiting=2)
    assert watched.calls == [1, 3]


LARGE = ("merge", [f"Merges {'many ' * (i % 7)}things, number {i}." for i in range(SLICE + 9)])


def test_a_large_request_is_scored_in_slices_as_if_in_one_call(watched: Watched) -> None:
    async def steps(batcher: Batcher) -> None:
        (scored,) = await asyncio.gather(*await start(batcher, [LARGE]))
        assert scored.scores == pytest.approx(alone(watched.model, *LARGE), abs=1e-4)

    (batch,) = run(watched, steps, most_pairs=1)
    assert (watched.calls, batch.pairs) == ([SLICE, 9], SLICE + 9)


def test_a_large_request_that_nobody_waits_for_ends_after_its_slice(watched: Watched) -> None:
    watched.gate.clear()

    async def steps(batcher: Batcher) -> None:
        (left,) = await start(batcher, [LARGE])
        await begun(watched, 1)
        left.cancel()
        (stays,) = await start(batcher, [JOBS[1]])
        await asyncio.sleep(0)
        watched.gate.set()
        assert len((await stays).scores) == 2

    run(watched, steps)
    assert watched.calls == [SLICE, 2]


WINDOWS = RerankConfig(windows=16)


def test_windows_are_scored_in_slices_as_if_in_one_call(watched: Watched) -> None:
    inner: Any = watched.model
    model = WindowedScorer(watched, inner.model.tokenizer, WINDOWS)
    jobs = [JOBS[0], ("large", ["Merges this, " * 1200, "Draws."]), JOBS[2]]

    async def steps(batcher: Batcher) -> None:
        found = await asyncio.gather(*await start(batcher, jobs))
        whole = WindowedScorer(inner, inner.model.tokenizer, WINDOWS)
        for job, scored in zip(jobs, found, strict=True):
            assert scored.scores == pytest.approx(alone(whole, *job), abs=1e-4)

    (batch,) = run(model, steps)
    assert batch.pairs == 6
    assert len(watched.calls) > 2
    assert set(watched.calls[:-1]) == {SLICE}


def test_windows_that_nobody_waits_for_end_after_their_slice(watched: Watched) -> None:
    watched.gate.clear()
    inner: Any = watched.model

    async def steps(batcher: Batcher) -> None:
        (left,) = await start(batcher, [("large", ["Merges this, " * 1200])])
        await begun(watched, 1)
        left.cancel()
        (stays,) = await start(batcher, [JOBS[1]])
        await asyncio.sleep(0)
        watched.gate.set()
        assert len((await stays).scores) == 2

    run(WindowedScorer(watched, inner.model.tokenizer, WINDOWS), steps)
    assert watched.calls == [SLICE, 2]


def test_of_a_batch_only_what_somebody_waits_for_is_scored_on(watched: Watched) -> None:
    watched.gate.clear()

    async def steps(batcher: Batcher) -> None:
        left, stays = await start(batcher, [LARGE, JOBS[1]])
        await begun(watched, 1)
        left.cancel()
        await asyncio.sleep(0)
        watched.gate.set()
        scored = await stays
        assert scored.scores == pytest.approx(alone(watched.model, *JOBS[1]), abs=1e-4)

    run(watched, steps, most_pairs=2 * SLICE)
    assert sum(watched.calls) < len(LARGE[1])


def test_at_the_end_a_large_request_ends_after_its_slice(watched: Watched) -> None:
    watched.gate.clear()

    async def main() -> None:
        batcher = Batcher(watched, 100, 8, lambda _: None)
        worker = asyncio.create_task(batcher.run())
        tasks = await start(batcher, [LARGE])
        (job,) = batcher._waiting
        await begun(watched, 1)

        def open_gate() -> None:
            until(job.result.cancelled)
            watched.gate.set()

        # The loop waits for the slice to end, so another thread opens the gate.
        threading.Thread(target=open_gate).start()
        worker.cancel()
        await asyncio.gather(worker, *tasks, return_exceptions=True)

    asyncio.run(main())
    assert watched.calls == [SLICE]
