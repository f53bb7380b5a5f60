"""A point that stores token vectors shares its model with the others, and is timed with them."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import torch
from mlflow import MlflowClient

from pipeline.config.stages import LatencyConfig, RerankConfig
from pipeline.experiment import latency, recipe
from pipeline.experiment.start import Start
from pipeline.experiment.token_vectors import inputs, served
from pipeline.infra.hardware import Hardware
from pipeline.infra.stage_cache import StageCache, content_key
from pipeline.protocols import Reranker
from pipeline.tracking.reader import STAGE_TAG
from tests.conftest import Trained
from tests.points import compose_config
from tests.shared import EMPTY
from tests.token_embedders import Drawn


@pytest.mark.slow
def test_a_stored_point_trains_nothing_and_encodes_once(
    trained: Callable[[str], Trained], caplog: pytest.LogCaptureFixture
) -> None:
    finished = trained("colbert")
    client = MlflowClient(finished.config.tracking.uri)
    before = client.get_run(finished.run_id).data
    metrics, tables = {}, {}
    forms = {
        "fp16": RerankConfig(vectors="fp16"),
        "int8": RerankConfig(vectors="int8"),
        "int8 by OpenVINO": RerankConfig(vectors="int8", variant="openvino"),
    }
    for name, form in forms.items():
        config = replace(
            finished.config,
            run_name=f"stored_{name}",
            rerank=form,
            latency=LatencyConfig(limits=[5], queries=3, warmup=1, rerank_modes=["hybrid"]),
        )
        config.latency.enabled = name != "fp16"
        run_id = recipe.run(config, finished.folder.parent.parent / config.run_name)
        if name == "fp16":  # as a sweep by joblib does it, in a process with more threads
            config.latency.enabled = True
            threads = torch.get_num_threads()
            more = replace(config.hardware, threads=threads + 1)
            try:
                with caplog.at_level(logging.INFO, logger="pipeline"):
                    latency.time_recorded({run_id: replace(config, hardware=more)})
            finally:
                torch.set_num_threads(threads)
            assert "latency: computing" in caplog.text
            assert "token_vectors: computing" not in caplog.text
        run = client.get_run(run_id).data
        assert run.tags[f"{STAGE_TAG}model"] == before.tags[f"{STAGE_TAG}model"]
        metrics[name] = run.metrics
        tables[name] = set(run.tags[f"{STAGE_TAG}token_vectors"].split())
    assert len(tables["fp16"]) == 1
    assert len(tables["int8"]) == 2
    assert tables["fp16"] < tables["int8"]  # of which it is made
    assert tables["int8 by OpenVINO"] == tables["int8"]
    for found in metrics.values():
        assert found["latency/hybrid_5/rerank_p50_ms"] > 0
        assert found["vector_reranked/ndcg_at_10"] == pytest.approx(
            before.metrics["vector_reranked/ndcg_at_10"], abs=0.02
        )
    size = "vectors/mb_per_1000_passages"
    assert metrics["int8"][size] < 0.7 * metrics["fp16"][size]
    encoding = "vectors/encoding_seconds"
    assert (
        metrics["int8"][encoding] == metrics["fp16"][encoding] == metrics["fp16"]["vectors/seconds"]
    )


@pytest.mark.slow
def test_a_timing_that_fails_leaves_the_others_theirs(trained: Callable[[str], Trained]) -> None:
    finished = trained("colbert")
    short = LatencyConfig(enabled=False, limits=[5], queries=3, warmup=1, rerank_modes=["hybrid"])
    points = {}
    for name in ("lost", "kept"):
        config = replace(finished.config, run_name=name, latency=short)
        points[recipe.run(config, finished.folder.parent.parent / name)] = config
    (lost, _) = points
    stored = RerankConfig(vectors="fp16")
    points[lost] = replace(points[lost], seed=99, rerank=stored)  # whose model nobody trained
    with pytest.raises(RuntimeError, match=r"^lost: .* run the point again$"):
        latency.time_recorded(points)
    client = MlflowClient(finished.config.tracking.uri)
    timed = [
        any(name.startswith("latency/") for name in client.get_run(run_id).data.metrics)
        for run_id in points
    ]
    assert timed == [False, True]


@pytest.mark.parametrize(
    "change",
    ["arch.document_length=30", "base.dedicated=true", "eval.batch_size=7", "rerank.vectors=int8"],
)
def test_what_changes_the_vectors_is_in_their_key(
    change: str, machine: Hardware, tmp_path: Path
) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")

    def key(*words: str) -> str:
        config = compose_config(["arch=colbert", "base=minilm_l3", "epochs=0", *words])
        start = Start(config, tmp_path, EMPTY, machine, StageCache(tmp_path / "cache"))
        return content_key(inputs(start, config.rerank, tmp_path))

    assert key(change) != key()
    assert key("arch.learning_rate=0.1") == key()


@pytest.mark.parametrize("passages", [500, 1100])
def test_a_passage_counts_once_on_disk(passages: int, machine: Hardware, tmp_path: Path) -> None:
    """The table is written in several pieces of 512 passages, which are merged."""
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.safetensors").write_bytes(b"weights")
    config = compose_config(["arch=colbert", "rerank.vectors=fp16"])
    corpus = {str(i): f"passage {i}" for i in range(passages)}
    shared = replace(EMPTY, dataset=replace(EMPTY.dataset, corpus=corpus))
    start = Start(config, model, shared, machine, StageCache(tmp_path / "cache"))
    _, costs = served(start, cast(Reranker, Drawn(tokens=20, token_size=64)), model)
    numbers_and_scales = 20 * (64 + 1) * 2 * 1000 / 1e6
    assert costs["vectors/mb_per_1000_passages"] == pytest.approx(numbers_and_scales, rel=0.2)
