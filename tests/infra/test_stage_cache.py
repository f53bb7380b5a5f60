"""Stage outputs: found again, never half-written, rebuilt when damaged, built by one process."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.infra import manifest
from pipeline.infra.stage_cache import StageCache, content_key

INPUTS = {"words": 3}


def write(folder: Path) -> None:
    (folder / "table").mkdir()
    (folder / "table" / "rows.bin").write_bytes(b"0123456789")
    (folder / "facts.json").write_text('{"rows": 10}')


def test_it_is_built_once_with_a_manifest(tmp_path: Path) -> None:
    builds: list[Path] = []

    def build(folder: Path) -> None:
        builds.append(folder)
        write(folder)

    for _ in range(3):
        folder = StageCache(tmp_path).get("index", INPUTS, build)
    assert folder == tmp_path / "index" / content_key(INPUTS)
    assert len(builds) == 1 and not builds[0].exists()
    manifest = json.loads((folder / "manifest.json").read_text())["files"]
    assert sorted(manifest) == ["facts.json", "inputs.json", "table/rows.bin"]
    assert manifest["table/rows.bin"] == {
        "size": 10,  # printf 0123456789 | sha256sum
        "sha256": "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882",
    }


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda f: (f / "table/rows.bin").write_bytes(b"01234"), "rows.bin has 5 bytes, not 10"),
        (lambda f: (f / "table/rows.bin").write_bytes(b"0123456780"), "another checksum"),
        (lambda f: (f / "table/rows.bin").unlink(), "table/rows.bin is missing"),
        (lambda f: (f / "manifest.json").unlink(), "it has no manifest"),
        (lambda f: (f / "manifest.json").write_text('{"fi'), "its manifest can't be read"),
        (lambda f: (f / "manifest.json").write_text("[]"), "its manifest can't be read"),
    ],
    ids=["truncated", "corrupted", "missing", "old", "half manifest", "other manifest"],
)
def test_a_damaged_folder_is_set_aside_and_built_again(
    damage: object, said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert callable(damage)
    for number in (1, 2):
        folder = StageCache(tmp_path).get("index", INPUTS, write)
        damage(folder)
        assert StageCache(tmp_path).get("index", INPUTS, write) == folder
        assert (folder / "table" / "rows.bin").read_bytes() == b"0123456789"
        assert said in caplog.messages[-1]
        assert folder.with_name(f"{folder.name}.broken-{number}").is_dir()
    assert len(caplog.messages) == 2


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"a": 5},
        {"a": {"sha256": ""}},
        {"a": {"size": 1}},
        {"a": {"size": "1", "sha256": ""}},
        {"a": {"size": -1, "sha256": ""}},
    ],
)
def test_a_manifest_of_another_shape_is_damage(files: dict[str, object], tmp_path: Path) -> None:
    folder = StageCache(tmp_path).get("index", INPUTS, write)
    (folder / "manifest.json").write_text(json.dumps({"files": files}))
    assert manifest.damage(folder) == "its manifest can't be read"
    assert StageCache(tmp_path).get("index", INPUTS, write) == folder
    assert manifest.damage(folder) is None


def test_of_a_large_folder_only_the_small_files_are_read(tmp_path: Path) -> None:
    folder = StageCache(tmp_path).get("index", INPUTS, write)
    (folder / "table" / "rows.bin").write_bytes(b"0123456780")
    assert manifest.damage(folder, checked_bytes=9) is None  # rows.bin has 10
    assert "rows.bin has another checksum" in str(manifest.damage(folder, checked_bytes=10))


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        write(folder)
        raise OSError("no space left on device")

    cache = StageCache(tmp_path)
    with pytest.raises(OSError, match="no space left"):
        cache.get("index", INPUTS, fail)
    assert not list((tmp_path / "index").iterdir())
    assert cache.get("index", INPUTS, write).is_dir()


def test_a_partial_result_is_kept_until_the_build_succeeds(tmp_path: Path) -> None:
    cache = StageCache(tmp_path)
    partial = cache.unfinished("index", INPUTS)
    assert not partial.exists()

    def interrupted(folder: Path) -> None:
        partial.mkdir()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.get("index", INPUTS, interrupted)
    assert partial.is_dir()
    cache.get("index", INPUTS, write)
    assert not partial.exists()


def test_the_stages_that_were_used_are_known(tmp_path: Path) -> None:
    cache, other = StageCache(tmp_path), StageCache(tmp_path)
    for inputs in (INPUTS, INPUTS, {"words": 4}):
        cache.get("index", inputs, write)
    other.get("base", INPUTS, write)
    assert cache.used == {f"index/{content_key(INPUTS)}", f"index/{content_key({'words': 4})}"}
    assert other.used == {f"base/{content_key(INPUTS)}"}


BUILDER = """
import logging, select, sys
from pathlib import Path
from pipeline.infra import stage_cache
logging.basicConfig(level=logging.INFO, format="%(message)s")
stage_cache.PATIENCE = 0.2
def build(folder):
    (folder / "half").write_text("x")
    print("building", flush=True)
    select.select([sys.stdin], [], [], 600)  # until it is told, or its input ends
    (folder / "whole").write_text("x")
stage_cache.StageCache(Path(sys.argv[1])).get("index", {}, build)
print("done", flush=True)
"""


def builder(cache: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", BUILDER, str(cache)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_a_second_process_waits_and_says_for_whom(tmp_path: Path) -> None:
    first = builder(tmp_path)
    assert first.stdout is not None
    assert first.stdout.readline() == "building\n"
    second = builder(tmp_path)
    assert second.stderr is not None
    assert any(f"waiting for pid {first.pid} on " in line for line in second.stderr)
    assert first.communicate()[0] == "done\n"
    assert second.communicate()[0] == "done\n"


@pytest.mark.slow
def test_the_lock_of_a_killed_builder_is_free(tmp_path: Path) -> None:
    first = builder(tmp_path)
    assert first.stdout is not None
    assert first.stdout.readline() == "building\n"
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    folder = tmp_path / "index" / content_key({})
    assert not folder.exists()
    start = time.time() - 1
    assert builder(tmp_path).communicate()[0] == "building\ndone\n"
    assert (folder / "whole").exists()
    assert folder.stat().st_mtime >= start
    hidden = [path.name for path in folder.parent.iterdir() if path != folder]
    assert hidden == [f".{folder.name}.lock"]


def test_quiet_when_nothing_is_wrong(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(2):
        StageCache(tmp_path).get("index", INPUTS, write)
        StageCache(tmp_path).get("base", INPUTS, write, quick=True)
    assert caplog.messages == ["index: computing"]


def test_a_forced_stage_is_replaced_once(tmp_path: Path) -> None:
    builds: list[str] = []

    def ask(cache: StageCache, stage: str) -> None:
        def build(folder: Path) -> None:
            builds.append(stage)
            old = tmp_path / stage / content_key(INPUTS)
            assert len(builds) <= 2 or old.is_dir()  # to be read until the new one is there
            write(folder)

        cache.get(stage, INPUTS, build)

    forced = StageCache(tmp_path, forced=("model",), since=time.time() - 60)
    ask(StageCache(tmp_path), "index")
    ask(StageCache(tmp_path), "model")
    ask(forced, "model")
    for file in tmp_path.glob("*/*/manifest.json"):
        os.utime(file, (0, 0))
    for stage in ("index", "model", "model"):
        ask(forced, stage)
    assert builds == ["index", "model", "model"]
    assert [path.name for path in (tmp_path / "model").iterdir() if path.is_dir()] == [
        content_key(INPUTS)
    ]


@pytest.mark.parametrize("age", ["before", "after"])
def test_force_goes_on_only_from_what_it_began_itself(age: str, tmp_path: Path) -> None:
    since = time.time() - 60
    forced = StageCache(tmp_path, forced=("model",), since=since)
    partial = forced.unfinished("model", INPUTS)
    checkpoint = partial / "batch-16" / "checkpoint-3" / "weights.safetensors"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    when = since - 1 if age == "before" else since + 1
    os.utime(checkpoint, (when, when))
    found: list[bool] = []

    def build(folder: Path) -> None:
        found.append(checkpoint.exists())
        write(folder)

    forced.get("model", INPUTS, build)
    assert found == [age == "after"]
