"""Stage outputs shared through an object store: a real S3 server on loopback."""

import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lancedb
import pytest
from pyarrow.fs import AwsStandardS3RetryStrategy, FileSystem, S3FileSystem

from pipeline.experiment import recipe
from pipeline.infra.object_store import ObjectStore
from pipeline.infra.stage_cache import StageCache
from pipeline.records import InputError
from pipeline.tracking import reader
from tests.points import BRIEF, TINY, compose_config
from tests.servers import free_port

BUCKET = "stages"
INPUTS = {"words": 3}


@contextmanager
def serving() -> Iterator[subprocess.Popen[bytes]]:
    """Moto's S3 with an empty bucket, which pyarrow and LanceDB find by the environment."""
    port = free_port()
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    variables = {
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ALLOW_HTTP": "true",  # LanceDB refuses plain HTTP otherwise.
    }
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < deadline, "moto did not start"
                time.sleep(0.1)
        with pytest.MonkeyPatch.context() as environment:
            for name, value in variables.items():
                environment.setenv(name, value)
            files, _ = FileSystem.from_uri(f"s3://{BUCKET}?allow_bucket_creation=true")
            files.create_dir(BUCKET)
            yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    with serving():
        yield


@pytest.fixture
def study(server: None, tmp_path: Path) -> str:
    """An empty folder of the bucket, as a URI."""
    return f"s3://{BUCKET}/{tmp_path.name}"


def write(folder: Path) -> None:
    (folder / "table").mkdir()
    (folder / "table" / "rows.bin").write_bytes(os.urandom(10))
    (folder / "facts.json").write_text('{"rows": 10}')


def unused(folder: Path) -> None:
    raise AssertionError("it is there already")


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("kind", ["s3", "folder"])
def test_what_one_machine_built_another_takes(tmp_path: Path, kind: str, study: str) -> None:
    store = ObjectStore(study if kind == "s3" else str(tmp_path / "far"))
    here = StageCache(tmp_path / "here", store).get("index", INPUTS, write)
    there = StageCache(tmp_path / "there", store).get("index", INPUTS, unused)
    assert contents(there) == contents(here)
    assert sorted(contents(there)) == [
        "facts.json",
        "inputs.json",
        "manifest.json",
        "table/rows.bin",
    ]


def test_what_was_there_before_is_put_there_when_it_is_used(tmp_path: Path) -> None:
    store = ObjectStore(str(tmp_path / "far"))
    here = StageCache(tmp_path / "here").get("index", INPUTS, write)
    StageCache(tmp_path / "here", store).get("index", INPUTS, unused)
    there = StageCache(tmp_path / "there", store).get("index", INPUTS, unused)
    assert contents(there) == contents(here)


def test_a_forced_stage_is_not_taken_from_the_store_and_replaces_its_copy(tmp_path: Path) -> None:
    store = ObjectStore(str(tmp_path / "far"))
    old = contents(StageCache(tmp_path / "here", store).get("model", INPUTS, write))
    forced = StageCache(tmp_path / "empty disk", store, ("model",), time.time() - 60)
    new = contents(forced.get("model", INPUTS, write))
    assert new != old
    assert contents(StageCache(tmp_path / "third", store).get("model", INPUTS, unused)) == new


def test_half_a_copy_is_not_taken(tmp_path: Path) -> None:
    store = ObjectStore(str(tmp_path / "far"))
    here = StageCache(tmp_path / "here", store).get("index", INPUTS, write)
    (tmp_path / "far" / "index" / here.name / "manifest.json").unlink()
    there = StageCache(tmp_path / "there", store).get("index", INPUTS, write)
    assert contents(there) != contents(here)
    third = StageCache(tmp_path / "third", store).get("index", INPUTS, unused)
    assert contents(third) == contents(there)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("table/rows.bin", "0123456789", "rows.bin has another checksum"),
        ("facts.json", "{}", "facts.json has 2 bytes, not 12"),
        ("table/rows.bin", None, "built here"),
        ("manifest.json", "{", "built here"),
        ("manifest.json", "[]", "built here"),
        ("manifest.json", '{"files": {}}', "built here"),
        ("manifest.json", '{"files": {"facts.json": 5}}', "built here"),
        ("manifest.json", '{"files": {"../out": {"size": 1, "sha256": ""}}}', "built here"),
        ("manifest.json", '{"files": {"/tmp/out": {"size": 1, "sha256": ""}}}', "built here"),
    ],
)
def test_a_damaged_copy_is_built_again(
    tmp_path: Path, file: str, text: str | None, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = ObjectStore(str(tmp_path / "far"))
    here = StageCache(tmp_path / "here", store).get("index", INPUTS, write)
    copy = tmp_path / "far" / "index" / here.name / file
    copy.unlink() if text is None else copy.write_text(text)
    there = StageCache(tmp_path / "there", store).get("index", INPUTS, write)
    third = StageCache(tmp_path / "third", store).get("index", INPUTS, unused)
    assert contents(third) == contents(there)
    assert message in caplog.text
    assert json.loads((there / "facts.json").read_text()) == {"rows": 10}


@pytest.mark.slow
def test_a_store_that_goes_away_costs_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with serving() as process, caplog.at_level(logging.WARNING):
        store = ObjectStore(f"s3://{BUCKET}/study")
        once = AwsStandardS3RetryStrategy(max_attempts=1)  # otherwise it tries for 6 s, twice
        store.files = S3FileSystem(retry_strategy=once)
        cache = StageCache(tmp_path / "here", store)
        process.kill()
        process.wait()
        here = cache.get("index", INPUTS, write)
    assert (here / "table" / "rows.bin").is_file()
    got, put = (record.getMessage() for record in caplog.records)
    assert got.startswith(f"index/{here.name} in s3://{BUCKET}/study: ")
    assert put.startswith(f"index/{here.name} not copied to s3://{BUCKET}/study: ")


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("s3://no-such-bucket/study", r"cache_uri=s3://no-such-bucket/study: .*no-such-bucket"),
        ("ftp://host/study", r"cache_uri=ftp://host/study: .*s3://bucket/folder"),
        ("/proc/self", "cache_uri=/proc/self: "),  # there, but not writable
        ("", "cache_uri= is empty"),
        (" ", "cache_uri= is empty"),
        ("s3://me:hidden@no-such-bucket", r"cache_uri=s3://me:\*\*\*@no-such-bucket: "),
    ],
)
def test_a_store_that_does_not_exist_is_an_error_at_once(
    uri: str, message: str, server: None
) -> None:
    with pytest.raises(InputError, match=message) as error:
        ObjectStore(uri)
    assert "\n" not in str(error.value) and "hidden" not in str(error.value)


def test_a_store_may_be_a_folder_by_a_relative_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    StageCache(tmp_path / "one", ObjectStore("shared/store")).get("stage", INPUTS, write)
    monkeypatch.chdir(tmp_path.parent)
    second = StageCache(tmp_path / "two", ObjectStore(str(tmp_path / "shared" / "store")))
    assert contents(second.get("stage", INPUTS, unused))
    assert [path.name for path in (tmp_path / "shared" / "store").iterdir()] == ["stage"]


@pytest.mark.slow
def test_a_point_on_a_second_machine_trains_and_indexes_nothing(
    tmp_path: Path, study: str, caplog: pytest.LogCaptureFixture
) -> None:
    words = [*TINY, *BRIEF, "arch=colbert", f"cache_uri={study}"]
    metrics = []
    for machine in (tmp_path / "one", tmp_path / "two"):
        caplog.clear()
        config = compose_config([*words, f"output_dir={machine}"])
        with caplog.at_level(logging.INFO):
            run = reader.find_run(config.tracking, recipe.run(config, machine / "run"))
        results = {
            n: v for n, v in run.metrics.items() if "/" in n and n.split("/")[0] != "seconds"
        }
        metrics.append(results)
        shutil.rmtree(tmp_path / "one" / "cache", ignore_errors=True)
    assert "train: done before" in caplog.text
    assert metrics[0] == metrics[1]

    # The table can be searched where it is, by anybody who has LanceDB.
    (folder,) = (tmp_path / "two" / "cache" / "index").glob("[!.]*")
    far, near = (
        lancedb.connect(place).open_table("passages").search("config", query_type="fts").limit(5)
        for place in (f"{study}/index/{folder.name}", folder)
    )
    assert far.to_arrow() == near.to_arrow() and far.to_arrow().num_rows == 5
