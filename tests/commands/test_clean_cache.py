"""``clean-cache``: what it lists and removes; how is in tests/tracking/test_stale_stages.py."""

from pathlib import Path

import pytest

from pipeline.infra.stage_cache import StageCache
from pipeline.tracking import writer
from tests.commands.conftest import code_of
from tests.conftest import NewStore


def folders(output: Path) -> int:
    return sum(path.is_dir() for path in (output / "cache" / "index").iterdir())


def test_only_unused_folders_are_removed(
    elsewhere: Path, new_store: NewStore, capsys: pytest.CaptureFixture[str]
) -> None:
    output = elsewhere / "outputs"
    config = new_store(output)
    paths = [
        StageCache(output / "cache").get("index", {"words": words}, lambda f: (f / "x").touch())
        for words in (1, 2)
    ]
    with writer.run(config, "point", {}) as run:
        run.log_stages({f"index/{paths[0].name}"})
    assert code_of(["clean-cache", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert all(path.name in shown for path in paths)
    assert "would remove 1 of 2 folders" in shown
    assert folders(output) == 2
    assert code_of(["clean-cache", f"output_dir={output}"]) == 0
    assert "removed 1 of 2 folders" in capsys.readouterr().out
    assert paths[0].is_dir()
    assert folders(output) == 1


def test_without_a_store_nothing_is_removed(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = elsewhere / "outputs" / "cache"
    path = StageCache(cache).get("index", {}, lambda folder: (folder / "x").touch())
    for words in ([], ["--dry-run"]):
        assert code_of(["clean-cache", *words]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert path.is_dir()
