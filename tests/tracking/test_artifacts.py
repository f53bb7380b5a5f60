"""Tables and lists that runs store besides params and metrics."""

import json
from dataclasses import replace
from math import isnan, nan
from pathlib import Path

from mlflow import MlflowClient

from pipeline.config.stages import TrackingConfig
from pipeline.tracking import artifacts, reader, writer


def test_points_without_a_run_are_of_their_own_data_set(config: TrackingConfig) -> None:
    points = {key: {"name": f"point_{key}", "dataset": f"data_{key}"} for key in "abc"}
    with writer.run(config, "sweep", {"kind": "sweep", "dataset": "data_a"}) as parent:
        artifacts.log_points(parent, points)
        with writer.run(replace(config, parent_run_id=parent.run_id), "x", {"fingerprint": "b"}):
            pass
        runs = reader.read_runs(config, parent.run_id)
        running = reader.read_run(config, parent.run_id)
        waiting = artifacts.read_skipped(config, running, runs)
    ended = reader.read_run(config, parent.run_id)
    skipped = artifacts.read_skipped(config, ended, runs)
    assert [(run.name, run.tags["dataset"]) for run in skipped] == [
        ("point_a", "data_a"),
        ("point_c", "data_c"),
    ]
    assert {run.status for run in waiting} == {"WAITING"}
    assert {run.status for run in skipped} == {"SKIPPED"}


def test_per_query_values_survive(config: TrackingConfig) -> None:
    per_query = {
        "vector": {"ndcg_at_10": {"q|1": 0.1 + 0.2, "é": 1.0}, "mrr_at_5": {"q|1": 0.0, "é": nan}},
        "vector_reranked": {"ndcg_at_10": {"q|1": 1 / 3, "é": 0.0}},
    }
    with writer.run(config, "point", {}) as run:
        assert artifacts.read_per_query(config, run.run_id) == {}
        artifacts.log_per_query(run, per_query)
    stored = artifacts.read_per_query(config, run.run_id)
    assert isnan(stored["vector"]["mrr_at_5"].pop("é"))
    del per_query["vector"]["mrr_at_5"]["é"]
    assert stored == per_query
    with writer.run(config, "empty", {}) as run:
        artifacts.log_per_query(run, {})
    assert artifacts.read_per_query(config, run.run_id) == {}


def test_the_table_of_queries_is_bounded_and_compares_the_reranker(
    config: TrackingConfig, tmp_path: Path
) -> None:
    queries = {f"q{i:04}": "x" * 400 for i in range(2100)}
    values = dict.fromkeys(queries, 1 / 3)
    per_query = {
        "vector": {"ndcg_at_10": values, "mrr_at_10": values},
        "vector_reranked": {"ndcg_at_10": values},
        "vector_candidates": {"recall_at_40": values},
    }
    with writer.run(config, "point", {}) as run:
        artifacts.log_query_table(run, queries, per_query, "ndcg_at_10")
    file = MlflowClient(config.uri).download_artifacts(run.run_id, "per_query.json", str(tmp_path))
    table = json.loads(Path(file).read_text())
    names = ["query", "vector_reranked/ndcg_at_10", "vector/ndcg_at_10", "query_id"]
    assert table["columns"] == names
    assert len(table["data"]) == 2000
    assert table["data"][-1] == ["x" * 299 + "…", 0.3333, 0.3333, "q1999"]
    logged = MlflowClient(config.uri).get_run(run.run_id).data.tags["mlflow.loggedArtifacts"]
    assert json.loads(logged) == [{"path": "per_query.json", "type": "table"}]
