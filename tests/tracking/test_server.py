"""Tracking through a real MLflow server on loopback."""

from collections.abc import Iterator
from dataclasses import replace
from math import isnan, nan
from pathlib import Path

import pytest

from pipeline.config.stages import TrackingConfig
from pipeline.infra.stage_cache import StageCache
from pipeline.tracking import artifacts, reader, references, registry, writer
from tests.conftest import NewStore
from tests.servers import mlflow_server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, new_store: NewStore) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    with mlflow_server(folder, new_store(folder).uri) as uri:
        yield uri


def test_through_a_server(server: str) -> None:
    config = TrackingConfig(uri=server, experiment="remote")
    with writer.run(config, "sweep", {"kind": "sweep"}) as parent:
        child = replace(config, parent_run_id=parent.run_id)
    with writer.run(child, "point", {}) as run:
        run.log_metrics({"vector/ndcg_at_10": 0.5, "gone": nan})
        artifacts.log_per_query(run, {"vector": {"ndcg_at_10": {"q": 0.5}}})
    assert reader.latest_sweep(config) == parent.run_id
    (record,) = reader.read_runs(config, parent.run_id)
    assert record.metrics["vector/ndcg_at_10"] == 0.5
    assert isnan(record.metrics["gone"])
    stored = artifacts.read_per_query(config, record.run_id)
    assert stored == {"vector": {"ndcg_at_10": {"q": 0.5}}}


def test_a_promoted_model_through_a_server(server: str, tmp_path: Path) -> None:
    config = TrackingConfig(uri=server, experiment="models")
    folder, cache = tmp_path / "model", tmp_path / "cache"
    (folder / "1_Dense").mkdir(parents=True)
    for name in ("config.json", "1_Dense/config.json"):
        (folder / name).write_text("{}")
    with writer.run(config, "point", {"kind": "point"}) as run:
        run.log_tags({writer.MODEL_FOLDER: str(folder)})
    record = reader.find_run(config, "point")
    assert references.model_folder(config, record, StageCache(cache)) == folder
    version = registry.promote(config, record, folder, "served", {"search": "fts"})
    assert registry.champion(config, "served") == version
    assert version[:3] == ("served", "1", run.run_id)
    assert version.tags["search"] == "fts"
    (folder / "config.json").unlink()
    for reference in ("models:/served@champion", "models:/served/1", "run:point"):
        found = references.find_model(config, reference)
        downloaded = references.model_folder(config, found, StageCache(cache))
        assert downloaded.is_relative_to(cache)
        assert (downloaded / "1_Dense" / "config.json").read_text() == "{}"
