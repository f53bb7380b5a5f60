"""Models are registered and found again, page by page, in a real MLflow registry."""

from pathlib import Path

import pytest

from pipeline.config.stages import TrackingConfig
from pipeline.records import InputError
from pipeline.tracking import reader, registry, writer
from pipeline.tracking.reader import RunRecord
from pipeline.tracking.store import contact


@pytest.fixture
def run(store: TrackingConfig, monkeypatch: pytest.MonkeyPatch) -> RunRecord:
    """A finished run; the registry is read in pages of two."""
    monkeypatch.setattr("pipeline.tracking.registry.PAGE", 2)
    with writer.run(store, "point", {"kind": "point"}) as active:
        pass
    return reader.find_run(store, active.run_id)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model of one file."""
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    return model


def test_a_model_on_the_second_page_is_found(
    store: TrackingConfig, run: RunRecord, folder: Path
) -> None:
    registry.promote(store, run, folder, "zz", {})
    with contact(store) as client:
        for number in range(3):
            client.create_registered_model(f"model {number}")
    champion = registry.champion(store, "zz")
    assert champion is not None and champion.version == "1"
    with pytest.raises(InputError, match=r"there is models:/zz@champion, models:/zz/1$"):
        registry.find_version(store, "models:/zz/7")
    with pytest.raises(InputError, match=r"models:/model 1, models:/model 2, models:/zz$"):
        registry.find_version(store, "models:/other/1")


def test_a_version_on_the_second_page_is_found(
    store: TrackingConfig, run: RunRecord, folder: Path
) -> None:
    def promote(search: str) -> str:
        return registry.promote(store, run, folder, "d", {"search": search}).version

    assert [promote(search) for search in ("vector", "fts", "hybrid")] == ["1", "2", "3"]
    # the same run with the same tags is the same version, and becomes champion again
    assert [promote(search) for search in ("vector", "fts", "hybrid")] == ["1", "2", "3"]
    with pytest.raises(InputError, match=r"models:/d/1, models:/d/2, models:/d/3$"):
        registry.find_version(store, "models:/d/7")
