"""A point that stores token vectors shares its model with the others, and is timed with them."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from mlflow import MlflowClient

from pipeline.config.stages import LatencyConfig, RerankConfig
from pipeline.experiment import latency, recipe
from pipeline.infra.stage_cache import StageCache
from tests.conftest import Trained


@pytest.mark.slow
def test_a_stored_point_trains_nothing_and_encodes_once(trained: Callable[[str], Trained]) -> None:
    finished = trained("colbert")
    cache = StageCache.of(finished.config)

    def stages(name: str) -> set[str]:
        return {path.name for path in (cache.folder / name).glob("[0-9a-f]*")}

    models, tables = stages("model"), stages("token_vectors")
    metrics = {}
    for vectors in ("fp16", "int8"):
        config = replace(
            finished.config,
            run_name=f"stored_{vectors}",
            rerank=RerankConfig(vectors=vectors),
            latency=LatencyConfig(limits=[5], queries=3, warmup=1, rerank_modes=["hybrid"]),
        )
        config.latency.enabled = vectors == "int8"
        run_id = recipe.run(config, finished.folder.parent.parent / config.run_name)
        if vectors == "fp16":  # as a sweep does it, after its points
            config.latency.enabled = True
            latency.time_recorded({run_id: config})
        metrics[vectors] = MlflowClient(config.tracking.uri).get_run(run_id).data.metrics
    assert stages("model") == models
    assert len(stages("token_vectors") - tables) == 2
    before = MlflowClient(finished.config.tracking.uri).get_run(finished.run_id).data.metrics
    for found in metrics.values():
        assert found["latency/hybrid_5/rerank_p50_ms"] > 0
        assert found["vector_reranked/ndcg_at_10"] == pytest.approx(
            before["vector_reranked/ndcg_at_10"], abs=0.02
        )
    size = "vectors/mb_per_1000_passages"
    assert metrics["int8"][size] < 0.7 * metrics["fp16"][size]
