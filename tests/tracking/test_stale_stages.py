"""What the cache holds, and which folders of it are removed."""

from pathlib import Path

import pytest

from pipeline.config.stages import TrackingConfig
from pipeline.infra.stage_cache import StageCache, only_builder
from pipeline.tracking import reader, writer
from pipeline.tracking.stale_stages import entries, remove
from tests.conftest import NewStore


@pytest.fixture
def config(tmp_path_factory: pytest.TempPathFactory, new_store: NewStore) -> TrackingConfig:
    return new_store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    for words in (1, 2):
        StageCache(tmp_path).get("index", {"words": words}, lambda f: (f / "x").touch())
    (tmp_path / "index" / ".building-abc").mkdir()
    (tmp_path / "index" / "abc.broken-1").mkdir()
    return tmp_path


def test_the_cache_is_cleaned_of_what_no_run_uses(cache: Path, config: TrackingConfig) -> None:
    names = sorted(
        path.name for path in (cache / "index").glob("*[0-9a-f]") if "-" not in path.name
    )
    with writer.run(config, "point", {}) as run:
        run.log_stages({f"index/{names[0]}"})
    with pytest.raises(KeyboardInterrupt), writer.run(config, "point", {}) as run:
        run.log_stages({f"index/{names[1]}"})
        raise KeyboardInterrupt
    used = reader.used_stages(config)
    found = {entry.path.name: entry.state for entry in entries(cache, used)}
    assert found == {
        names[0]: "used",
        names[1]: "unused",
        ".building-abc": "leftover",
        "abc.broken-1": "leftover",
    }
    for entry in entries(cache, used):
        if entry.state != "used":
            assert remove(entry.path)
    left = [path.name for path in (cache / "index").iterdir() if path.is_dir()]
    assert left == [names[0]]


def test_what_is_being_built_is_not_cleaned_away(cache: Path) -> None:
    building = cache / "index" / ".building-abc"
    with only_builder(cache / "index" / "abc"):
        assert not remove(building)
    assert building.is_dir()
    assert remove(building)
