"""The data set of a run, logged by several points at once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from mlflow import MlflowClient

from pipeline.tracking.store import open_experiment
from pipeline.tracking.writer import ActiveRun
from tests.conftest import NewStore


@pytest.mark.slow
def test_points_that_start_at_once_log_the_same_data_set(
    tmp_path: Path, new_store: NewStore
) -> None:
    config = new_store(tmp_path)
    experiment = open_experiment(config)
    client = MlflowClient(config.uri)
    runs = [client.create_run(experiment).info.run_id for _ in range(4)]
    start = Barrier(len(runs))

    def log(run_id: str, name: str) -> None:
        start.wait()
        ActiveRun(MlflowClient(config.uri), run_id).log_dataset(name, "f" * 64, {"queries": 2})

    names = ["first", "second", "third", "fourth", "fifth"]
    with ThreadPoolExecutor(len(runs)) as pool:
        for name in names:
            list(pool.map(log, runs, [name] * len(runs)))
    for run_id in runs:
        logged = client.get_run(run_id).inputs.dataset_inputs
        assert sorted(entry.dataset.name for entry in logged) == sorted(names)
