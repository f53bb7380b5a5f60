"""Callers that ask at once share one model, and each is answered as if it were alone."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.config.stages import LatencyConfig
from pipeline.evaluation.callers import PARTS, Request, ServingPath, measure, sharing
from pipeline.evaluation.latency import System
from pipeline.experiment.shared import Shared
from pipeline.infra.hardware import Hardware
from pipeline.protocols import Scorer
from pipeline.rerankers.batching import NotScored
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

    with sharing(model, 8, CALLERS) as shared, ThreadPoolExecutor(CALLERS) as callers:
        assert shared is not None
        request = Request(shared)
        assert list(callers.map(ask, range(19))) == [[n, n + 1] for n in range(19)]
    asked = [doc_id for call in model.calls for _, doc_id in call]
    assert sorted(asked) == sorted(f"d{m}" for n in range(19) for m in (n, n + 1))
    assert max(len(call) for call in model.calls) <= 8


def test_what_a_model_fails_at_ends_the_timing(watched: Watched) -> None:
    with sharing(watched, 8, CALLERS) as shared:
        assert shared is not None
        with pytest.raises(NotScored):
            Request(shared).score_pairs({"q": "query"}, {"d": "raise"}, [("q", "d")])


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
        ThreadPoolExecutor(CALLERS) as callers,
    ):
        system = System(shared.table.table, 100, 60, shared.embedder, model, machine)
        path = ServingPath(system, system.searches(5), "hybrid", 5, embedding, scoring)
        served = list(callers.map(path.serve, texts))
    assert sum(model.calls) == 5 * len(texts)
    for parts in served:
        assert min(parts.values()) >= 0
        assert parts["queue"] <= parts["total"]
        assert sum(parts[part] for part in PARTS) == pytest.approx(2 * parts["total"])


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["cross_encoder", "none"])
def test_the_metrics_name_the_callers_the_search_and_the_limit(
    arch: str, loaded: Callable[[str], Scorer], shared: Shared, machine: Hardware
) -> None:
    config = LatencyConfig(
        limits=[5, 9], rerank_modes=["fts"], callers=CALLERS, callers_seconds=0.2
    )
    model = loaded(arch) if arch != "none" else None
    texts = list(shared.dataset.test.queries.values())
    system = System(shared.table.table, 100, 60, shared.embedder, model, machine)
    metrics = measure(texts, system, config, 32)
    assert {name.rpartition("/")[0] for name in metrics} == {"latency/callers_8/fts_5"}
    of = {name.rpartition("/")[2]: value for name, value in metrics.items()}
    assert of["queries"] >= CALLERS
    assert of["queries_per_s"] > 0
    assert of["queue_p50_ms"] <= of["total_p50_ms"]
    assert (of["rerank_mean_ms"] > 0) == (of["queue_mean_ms"] > 0) == (arch != "none")
