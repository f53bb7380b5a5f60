"""A point that OpenVINO computes shares its model with the one that torch computes."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from mlflow import MlflowClient

from pipeline.config.stages import LatencyConfig, RerankConfig
from pipeline.experiment import recipe
from pipeline.tracking.reader import STAGE_TAG
from tests.conftest import Trained


@pytest.mark.slow
def test_a_variant_trains_nothing_and_is_scored_and_timed_by_itself(
    trained: Callable[[str], Trained],
) -> None:
    finished = trained("cross_encoder")
    config = replace(
        finished.config,
        run_name="by_openvino",
        rerank=RerankConfig(variant="openvino"),
        latency=LatencyConfig(limits=[5], queries=3, warmup=1, rerank_modes=["hybrid"]),
    )
    run_id = recipe.run(config, finished.folder.parent.parent / config.run_name)
    client = MlflowClient(config.tracking.uri)
    run, before = (client.get_run(name).data for name in (run_id, finished.run_id))
    assert run.tags[f"{STAGE_TAG}model"] == before.tags[f"{STAGE_TAG}model"]
    assert run.tags[f"{STAGE_TAG}scores"] != before.tags[f"{STAGE_TAG}scores"]
    assert run.metrics["latency/hybrid_5/rerank_p50_ms"] > 0
    for name in ("vector_reranked/ndcg_at_10", "hybrid_fused/hit_rate_at_5"):
        assert run.metrics[name] == pytest.approx(before.metrics[name], abs=1e-4)
