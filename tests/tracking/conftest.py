"""A real MLflow store on SQLite, with an experiment of its own for every test."""

from dataclasses import replace

import pytest

from pipeline.config.stages import TrackingConfig
from tests.conftest import NewStore


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, new_store: NewStore) -> TrackingConfig:
    """One database for the tests of a file, in a folder with an odd name."""
    return new_store(tmp_path_factory.mktemp("store") / "a b#c")


@pytest.fixture
def config(store: TrackingConfig, request: pytest.FixtureRequest) -> TrackingConfig:
    """An experiment of its own for every test."""
    return replace(store, experiment=request.node.name)
