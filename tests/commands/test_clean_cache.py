"""``clean-cache``: what it lists and removes; how is in tests/tracking/test_stale_stages.py."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.infra import in_use
from pipeline.infra.stage_cache import StageCache
from pipeline.records import Refused
from pipeline.tracking import writer
from tests.commands.conftest import code_of
from tests.conftest import NewStore
from tests.points import CHILD, compose_config


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


USES = """
import sys
from pathlib import Path
from pipeline.config.compose import compose
from pipeline.infra.stage_cache import StageCache
cache = StageCache.of(compose([]))
cache.get("index", {}, lambda folder: (folder / "x").touch())
print("ready", flush=True)
sys.stdin.read()
"""


def test_what_another_process_uses_is_kept_until_it_ends(
    elsewhere: Path, new_store: NewStore, capsys: pytest.CaptureFixture[str]
) -> None:
    output = elsewhere / "outputs"
    new_store(output)
    pipe = subprocess.PIPE
    words = [sys.executable, "-c", USES]
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, env=CHILD, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert code_of(["clean-cache"]) == 1
        assert "in use" in capsys.readouterr().err
        assert folders(output) == 1
        assert code_of(["clean-cache", "--dry-run"]) == 0
        process.kill()
    assert code_of(["clean-cache"]) == 0
    assert folders(output) == 0


def test_a_cache_is_in_use_as_long_as_its_object_exists(tmp_path: Path) -> None:
    config = compose_config([f"output_dir={tmp_path}"])
    folder = tmp_path / "cache"
    first = StageCache.of(config)
    assert not folder.exists()
    first.get("index", {}, lambda made: (made / "x").touch())
    with pytest.raises(Refused), in_use.alone(folder):
        pass
    second = StageCache.of(config)
    del first
    with pytest.raises(Refused), in_use.alone(folder):
        pass
    assert second.folder == folder
    del second
    with in_use.alone(folder):
        pass


def test_without_locks_a_cache_can_be_used() -> None:
    nowhere = Path("/proc/self/cache")  # as on a file system that is read-only
    assert in_use.hold(nowhere) is None
    with in_use.alone(nowhere), in_use.held(nowhere):
        pass
