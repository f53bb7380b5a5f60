"""Callers that ask at once share one model, and each is answered as if it were alone."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace

import pytest

from pipeline.config.index import IndexConfig
from pipeline.config.stages import LatencyConfig
from pipeline.evaluation import callers
from pipeline.evaluation.callers import PARTS, ServingPath, SharedScorer, measure, sharing
from pipeline.evaluation.latency import Stack
from pipeline.experiment.shared import Shared
from pipeline.infra.hardware import Hardware
from pipeline.protocols import Scorer
from pipeline.rerankers.batching import NotScored
from pipeline.retrieval.index import PassageTable, build_table
from tests.embedders import Cosines
from tests.scorers import OfPassage, Watched

CALLERS = 8


def test_callers_share_what_is_scored_together_and_get_their_own_scores() -> None:
    """The id of a passage reaches the model, which may have its vectors stored."""
    scores = {f"d{n}": float(n) for n in range(20)}
    passages = {doc_id: f"text of {doc_id}" for doc_id in scores}
    model = OfPassage(scores)

    def ask(n: int) -> list[float]:
        pairs = [("q", f"d{n}"), ("q", f"d{n + 1}")]
        found: list[float] = request.score_pairs({"q": f"query {n}"}, passages, pairs).tolist()
        return found

    with sharing(model, 8, CALLERS) as shared, ThreadPoolExecutor(CALLERS) as threads:
        assert shared is not None
        request = SharedScorer(shared)
        assert list(threads.map(ask, range(19))) == [[n, n + 1] for n in range(19)]
    asked = [doc_id for call in model.calls for _, doc_id in call]
    assert sorted(asked) == sorted(f"d{m}" for n in range(19) for m in (n, n + 1))
    assert max(len(call) for call in model.calls) <= 8


def test_what_a_model_fails_at_ends_the_timing(watched: Watched) -> None:
    with sharing(watched, 8, CALLERS) as shared:
        assert shared is not None
        with pytest.raises(NotScored):
            SharedScorer(shared).score_pairs({"q": "query"}, {"d": "raise"}, [("q", "d")])


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["cross_encoder", "colbert"])
def test_every_query_is_served_once_and_its_parts_add_up(
    arch: str, loaded: Callable[[str], Scorer], shared: Shared, machine: Hardware
) -> None:
    model = Watched(loaded(arch))
    model.gate.set()
    texts = list(shared.dataset.test.queries.values())[:12]
    with (
        ThreadPoolExecutor(1) as embedding,
        sharing(model, 64, CALLERS) as scoring,
        ThreadPoolExecutor(CALLERS) as threads,
    ):
        stack = Stack(shared.table.table, 100, 60, shared.embedder, model, machine)
        path = ServingPath(stack, stack.searches(5), "hybrid", 5, embedding, scoring)
        served = list(threads.map(path.serve, texts))
    assert sum(model.calls) == 5 * len(texts)
    for parts in served:
        assert min(parts.values()) >= 0
        assert parts["queue"] <= parts["total"]
        assert sum(parts[part] for part in PARTS) == pytest.approx(2 * parts["total"])


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["cross_encoder", "none"])
def test_the_metrics_name_the_callers_the_search_and_the_limit(
    arch: str,
    loaded: Callable[[str], Scorer],
    shared: Shared,
    machine: Hardware,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The callers ask until all of them have been answered, however long that takes."""
    config = LatencyConfig(
        limits=[5, 9], rerank_modes=["fts"], callers=CALLERS, callers_seconds=600
    )
    served: list[dict[str, float]] = []
    answered: set[str] = set()
    serve = ServingPath.serve

    def watch(path: ServingPath, text: str) -> dict[str, float]:
        parts = serve(path, text)
        served.append(parts)
        answered.add(threading.current_thread().name)
        if len(answered) == CALLERS + 1:  # and the thread of this test, for the first query
            config.callers_seconds = 0
        return parts

    monkeypatch.setattr(ServingPath, "serve", watch)
    model = loaded(arch) if arch != "none" else None
    texts = list(shared.dataset.test.queries.values())
    stack = Stack(shared.table.table, 100, 60, shared.embedder, model, machine)
    metrics = measure(texts, stack, config, 32)
    assert {name.rpartition("/")[0] for name in metrics} == {"latency/callers_8/fts_5"}
    of = {name.rpartition("/")[2]: value for name, value in metrics.items()}
    timed = served[1:]
    assert of["queries"] == len(timed) >= CALLERS
    assert of["queries_per_s"] > 0
    for part in PARTS:
        expected = 1000 * fmean(parts[part] for parts in timed)
        assert of[f"{part}_mean_ms"] == pytest.approx(expected)
    assert of["queue_p50_ms"] <= of["total_p50_ms"]
    assert (of["rerank_mean_ms"] > 0) == (of["queue_mean_ms"] > 0) == (arch != "none")


def test_times_are_milliseconds_and_queries_are_per_second(
    machine: Hardware, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One caller, whose queries take a quarter of a second each, asks for 2 s."""
    clock = SimpleNamespace(now=0.0)
    clock.perf_counter = lambda: clock.now

    def serve(path: ServingPath, text: str) -> dict[str, float]:
        clock.now += 0.25
        return {"queue": 0.01, "embed": 0.002, "search": 0.038, "rerank": 0.2, "total": 0.25}

    monkeypatch.setattr(callers, "time", clock)
    monkeypatch.setattr(ServingPath, "serve", serve)
    build_table(tmp_path / "table", {"d": "text"}, Cosines(), IndexConfig(), tmp_path / "kept")
    stack = Stack(PassageTable(tmp_path / "table").table, 100, 60, Cosines(), None, machine)
    config = LatencyConfig(limits=[5], rerank_modes=["fts"], callers=1, callers_seconds=2)
    metrics = measure(["one", "two"], stack, config, 32)
    prefix = "latency/callers_1/fts_5"
    found = [metrics[f"{prefix}/{part}_mean_ms"] for part in PARTS]
    assert found == pytest.approx([10, 2, 38, 200, 250])
    assert (metrics[f"{prefix}/queries"], metrics[f"{prefix}/queries_per_s"]) == (8, 4)
