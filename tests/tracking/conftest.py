"""A real MLflow store on SQLite, with an experiment of its own for every test."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.config.stages import TrackingConfig


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> TrackingConfig:
    """One database for the tests of a file, in a folder with an odd name."""
    folder = tmp_path_factory.mktemp("store") / "a b#c"
    folder.mkdir()
    shutil.copy(empty_database, folder / "mlflow.db")
    return TrackingConfig(uri=f"sqlite:///{folder}/mlflow.db", experiment="first")


@pytest.fixture
def config(store: TrackingConfig, request: pytest.FixtureRequest) -> TrackingConfig:
    """An experiment of its own for every test."""
    return replace(store, experiment=request.node.name)
