"""Rankings and metrics from candidates and scores, by hand."""

from math import log2

import pytest

from pipeline.config.stages import EvalConfig, FusionConfig
from pipeline.evaluation.quality import FusionWeights, choose_fusion_weights, evaluate
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
        metrics = evaluate(
            CANDIDATES, QRELS, config, scores, {"vector": {1: 0.5, 2: 0.5}}
        ).metrics()
        for stage in ("vector", "vector_reranked", "vector_fused"):
            for metric in ("ndcg_at_1", "ndcg_at_2", "hit_rate_at_1", "hit_rate_at_2"):
                assert metrics[f"{stage}/{metric}"] <= metrics[f"vector_ideal/{metric}"] + 1e-9


@pytest.mark.parametrize("names", ["xaybvw", "axbyvw", "wvbyax"])
@pytest.mark.parametrize("method", ["weighted", "rrf"])
def test_a_model_that_ranks_nothing_has_the_values_of_the_search(names: str, method: str) -> None:
    """Whatever the ids are: the third and the fifth of six passages are relevant."""
    config = EvalConfig(top_k=[1, 2, 5], depth=6, fusion=FusionConfig(method=method))
    retrieved: Ranking = {"q": [Hit(name, 9.0 - i) for i, name in enumerate(names)]}
    qrels: Qrels = {"q": {names[2]: 1, names[4]: 2}}
    constant = {"q": dict.fromkeys(sorted(names), 0.25)}
    weights: FusionWeights = {}
    if method == "weighted":
        weights = {"vector": dict.fromkeys(config.top_k, 0.7)}
    metrics = evaluate({"vector": retrieved}, qrels, config, constant, weights).metrics()
    assert metrics["vector/ndcg_at_5"] == pytest.approx(
        (1 / log2(4) + 2 / log2(6)) / (2 + 1 / log2(3))
    )
    for column in ("vector_reranked", "vector_fused"):
        for name in ("ndcg_at_1", "mrr_at_2", "ndcg_at_5", "mrr_at_5"):
            assert metrics[f"{column}/{name}"] == metrics[f"vector/{name}"]


def of_two_depths(relevant: str) -> tuple[Ranking, dict[str, dict[str, float]]]:
    """Four candidates, scored the other way round."""
    documents = ["a", "b", "c", "d"]
    hits = [Hit(d, 4.0 - i) for i, d in enumerate(documents)]
    return {relevant: hits}, {relevant: {d: float(i) for i, d in enumerate(documents)}}


def test_a_fusion_weight_is_chosen_at_the_depth_and_cutoff_of_its_use() -> None:
    """At cutoff 1 only a and b are reranked, and b is relevant; at 2 all four, and the model
    buries it below c and d."""
    config = EvalConfig(top_k=[1, 2], overfetch=2)
    ranking, scores = of_two_depths("b")
    qrels: Qrels = {"b": {"b": 1}}
    weights = choose_fusion_weights({"fts": ranking}, qrels, config, scores)
    assert weights["fts"][1] > 0.5
    assert weights["fts"][2] == 0.0
    by_rank = EvalConfig(top_k=[1, 2], fusion=FusionConfig(method="rrf"))
    assert choose_fusion_weights({"fts": ranking}, qrels, by_rank, scores) == {}
    fused = evaluate({"fts": ranking}, qrels, by_rank, scores, {}).metrics()
    assert "fts_fused/ndcg_at_2" in fused
