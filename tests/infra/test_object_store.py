"""Stage outputs shared through an object store: a real S3 server on loopback."""

import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import lancedb
import pytest
from pyarrow.fs import FileSystem

from pipeline.infra.object_store import ObjectStore
from pipeline.infra.stage_cache import StageCache
from pipeline.records import InputError
from pipeline.tracking import reader
from tests.conftest import BRIEF, TINY, command, free_port, tracked

BUCKET = "stages"
INPUTS = {"words": 3}


class Server:
    """Moto's S3, with an empty bucket."""

    def __init__(self, port: int) -> None:
        words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    port = free_port()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ALLOW_HTTP": "true",  # LanceDB wants to be told
    }.items():
        monkeypatch.setenv(name, value)
    found = Server(port)
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            assert time.monotonic() < deadline, "moto did not start"
            time.sleep(0.1)
    files, _ = FileSystem.from_uri(f"s3://{BUCKET}?allow_bucket_creation=true")
    files.create_dir(BUCKET)
    yield found
    found.stop()


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
def test_what_one_machine_built_another_takes(tmp_path: Path, kind: str, server: Server) -> None:
    store = ObjectStore(f"s3://{BUCKET}/study" if kind == "s3" else str(tmp_path / "far"))
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
    ("file", "text", "said"),
    [
        ("table/rows.bin", "0123456789", "rows.bin has another checksum"),
        ("facts.json", "{}", "facts.json has 2 bytes, not 12"),
        ("table/rows.bin", None, "built here"),
        ("manifest.json", "{", "built here"),
        ("manifest.json", "[]", "built here"),
    ],
)
def test_a_damaged_copy_is_built_again(
    tmp_path: Path, file: str, text: str | None, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = ObjectStore(str(tmp_path / "far"))
    here = StageCache(tmp_path / "here", store).get("index", INPUTS, write)
    copy = tmp_path / "far" / "index" / here.name / file
    copy.unlink() if text is None else copy.write_text(text)
    there = StageCache(tmp_path / "there", store).get("index", INPUTS, write)
    third = StageCache(tmp_path / "third", store).get("index", INPUTS, unused)
    assert contents(third) == contents(there)
    assert said in caplog.text
    assert json.loads((there / "facts.json").read_text()) == {"rows": 10}


def test_a_store_that_goes_away_costs_a_warning(
    tmp_path: Path, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    cache = StageCache(tmp_path / "here", ObjectStore(f"s3://{BUCKET}/study"))
    server.stop()
    with caplog.at_level(logging.WARNING):
        here = cache.get("index", INPUTS, write)
    assert (here / "table" / "rows.bin").is_file()
    got, put = (record.getMessage() for record in caplog.records)
    assert got.startswith(f"index/{here.name} in s3://{BUCKET}/study: ")
    assert put.startswith(f"index/{here.name} not copied to s3://{BUCKET}/study: ")


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("s3://no-such-bucket/study", r"cache_uri=s3://no-such-bucket/study: .*no-such-bucket"),
        ("ftp://host/study", r"cache_uri=ftp://host/study: .*s3://bucket/folder"),
        ("s3://me:hidden@no-such-bucket", r"cache_uri=s3://me:\*\*\*@no-such-bucket: "),
    ],
)
def test_a_store_that_is_not_there_is_told_at_once(uri: str, said: str, server: Server) -> None:
    with pytest.raises(InputError, match=said) as told:
        ObjectStore(uri)
    assert "\n" not in str(told.value) and "hidden" not in str(told.value)


def test_a_point_on_a_second_machine_trains_and_indexes_nothing(
    tmp_path: Path, server: Server
) -> None:
    words = [*TINY, *BRIEF, "arch=colbert", f"cache_uri=s3://{BUCKET}/study"]
    metrics = []
    for machine in ("one", "two"):
        (tmp_path / machine).mkdir()
        result = command(*words, cwd=tmp_path / machine)
        assert result.returncode == 0, result.stderr
        run = reader.find_run(tracked(tmp_path / machine), "colbert_minilm_l3_1neg_1ep")
        metrics.append({name: value for name, value in run.metrics.items() if "/" in name})
        if machine == "one":
            shutil.rmtree(tmp_path / "one" / "outputs" / "cache")
    assert "train: done before" in result.stdout + result.stderr
    assert metrics[0] == metrics[1]

    # the table can be searched where it is, by whoever has LanceDB
    (folder,) = (tmp_path / "two" / "outputs" / "cache" / "index").glob("[!.]*")
    far, near = (
        lancedb.connect(place).open_table("passages").search("config", query_type="fts").limit(5)
        for place in (f"s3://{BUCKET}/study/index/{folder.name}", folder)
    )
    assert far.to_arrow() == near.to_arrow() and far.to_arrow().num_rows == 5
