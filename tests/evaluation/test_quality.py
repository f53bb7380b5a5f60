"""Rankings and metrics from candidates and scores, by hand."""

from math import log2

import pytest

from pipeline.config.stages import EvalConfig, FusionConfig
from pipeline.evaluation.quality import evaluate
from pipeline.records import Hit, Qrels, Ranking

QRELS: Qrels = {"q": {"a": 1, "b": 2, "z": 1}}
CANDIDATES: dict[str, Ranking] = {
    "vector": {"q": [Hit(d, 9.0 - i) for i, d in enumerate(["x", "a", "y", "b", "v", "w"])]}
}


@pytest.fixture
def config() -> EvalConfig:
    return EvalConfig(top_k=[1, 2], overfetch=2, fusion=FusionConfig())


def test_the_ceiling_is_what_is_reranked_in_ideal_order(config: EvalConfig) -> None:
    metrics = evaluate(CANDIDATES, QRELS, config, None, {}).metrics()
    # at 1 two candidates are reranked, x and a: a comes first, but b has twice its gain
    assert metrics["vector_ideal/ndcg_at_1"] == pytest.approx(1 / 2)
    assert metrics["vector_candidates/recall_at_2"] == pytest.approx(1 / 3)
    # at 2 four: b and a, though z is missing the first two places are as good as can be
    assert metrics["vector_ideal/ndcg_at_2"] == pytest.approx(1.0)
    assert metrics["vector_ideal/hit_rate_at_2"] == 1.0
    assert metrics["vector_candidates/recall_at_4"] == pytest.approx(2 / 3)
    assert metrics["vector/ndcg_at_2"] == pytest.approx((1 / log2(3)) / (2 + 1 / log2(3)))


def test_no_reranker_gets_above_the_ceiling(config: EvalConfig) -> None:
    documents = [hit.doc_id for hit in CANDIDATES["vector"]["q"]]
    for first in range(len(documents)):
        order = documents[first:] + documents[:first]
        scores = {"q": {document: -float(i) for i, document in enumerate(order)}}
        metrics = evaluate(CANDIDATES, QRELS, config, scores, {"vector": 0.5}).metrics()
        for stage in ("vector", "vector_reranked", "vector_fused"):
            for metric in ("ndcg_at_1", "ndcg_at_2", "hit_rate_at_1", "hit_rate_at_2"):
                assert metrics[f"{stage}/{metric}"] <= metrics[f"vector_ideal/{metric}"] + 1e-9
