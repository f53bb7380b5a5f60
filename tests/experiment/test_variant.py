"""A point that OpenVINO computes shares its model with the one that torch computes."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from mlflow import MlflowClient

from pipeline.config.stages import LatencyConfig, RerankConfig
from pipeline.experiment import recipe
from pipeline.infra.stage_cache import StageCache
from tests.conftest import Trained


@pytest.mark.slow
def test_a_variant_trains_nothing_and_is_scored_and_timed_by_itself(
    trained: Callable[[str], Trained],
) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed: uv pip install openvino")
    finished = trained("cross_encoder")
    cache = StageCache.of(finished.config)

    def stages(name: str) -> set[str]:
        return {path.name for path in (cache.folder / name).glob("[0-9a-f]*")}

    models, scores = stages("model"), stages("scores")
    config = replace(
        finished.config,
        run_name="by_openvino",
        rerank=RerankConfig(variant="openvino"),
        latency=LatencyConfig(limits=[5], queries=3, warmup=1, rerank_modes=["hybrid"]),
    )
    run_id = recipe.run(config, finished.folder.parent.parent / config.run_name)
    assert stages("model") == models
    assert len(stages("scores") - scores) == 1
    client = MlflowClient(config.tracking.uri)
    metrics, before = (client.get_run(run).data.metrics for run in (run_id, finished.run_id))
    assert metrics["latency/hybrid_5/rerank_p50_ms"] > 0
    for name in ("vector_reranked/ndcg_at_10", "hybrid_fused/hit_rate_at_5"):
        assert metrics[name] == pytest.approx(before[name], abs=1e-4)
