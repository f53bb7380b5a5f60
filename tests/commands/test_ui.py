"""``ui``: what it prints, how it ends, and what a real browser shows of a sweep."""

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from pipeline.config.stages import TrackingConfig
from pipeline.tracking import artifacts, reader, writer
from tests.commands.conftest import code_of
from tests.conftest import NewStore
from tests.servers import free_port

BEST, WORSE, FAILED = (f"cross_encoder_ms_marco_minilm_{n}neg_1ep" for n in (1, 2, 3))
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
QUIET += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
QUIET += ["--disable-dev-shm-usage"]  # 64 MiB in a container
SHOWN = ["--window-size=1600,900", "--virtual-time-budget=20000", "--dump-dom"]


@cache
def chromium() -> str | None:
    """A browser that runs; what is installed may only say where to get one."""
    for path in filter(None, map(shutil.which, BROWSERS)):
        if subprocess.run([path, "--version"], capture_output=True).returncode == 0:
            return path
    return None


def command(port: int, uri: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "pipeline",
        "ui",
        "--port",
        str(port),
        f"tracking.uri={uri}",
    ]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, new_store: NewStore) -> TrackingConfig:
    """A sweep of two points and one that failed, the best neither first nor last."""
    config = new_store(tmp_path_factory.mktemp("ui"))
    with writer.run(config, "sweep", {"kind": "sweep"}) as parent:
        parent.log_note("- the note of the sweep")
        child = replace(config, parent_run_id=parent.run_id)
        tags = {"kind": "point", "initialisation": "finetuned"}
        for name, ndcg in ((WORSE, 0.5), (BEST, 0.6543)):
            with writer.run(child, name, tags) as run:
                metrics = {"vector/ndcg_at_5": 0.4, "vector_reranked/ndcg_at_5": ndcg}
                run.log_metrics(metrics | {"latency/vector_20/total_p50_ms": 12.5})
                run.log_dataset("pydocs", "a" * 64, {"test_queries": 2})
                values = {"vector_reranked": {"ndcg_at_5": {"q1": ndcg, "q2": ndcg}}}
                texts = {"q1": "one", "q2": "two"}
                artifacts.log_query_table(run, texts, values, "ndcg_at_5")
        with pytest.raises(ZeroDivisionError), writer.run(child, FAILED, tags):
            raise ZeroDivisionError
    return config


@pytest.fixture(scope="module")
def page(store: TrackingConfig) -> Iterator[str]:
    """The address that the command says; it must end cleanly with SIGTERM."""
    port = free_port()
    with subprocess.Popen(
        command(port, store.uri), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and process.stderr
        said = process.stdout.readline()
        if not said:
            pytest.fail(f"the MLflow server did not start: {process.stderr.read()}")
        assert said.startswith(f"MLflow UI: http://127.0.0.1:{port}/#/experiments/")
        assert said.endswith("  (Ctrl-C stops it)\n")
        try:
            yield said.split()[2]
        finally:
            process.send_signal(signal.SIGTERM)
            rest, errors = process.communicate(timeout=60)
        assert (process.returncode, rest, errors) == (0, "", "")
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health")


@pytest.mark.slow
@pytest.mark.skipif(chromium() is None, reason="needs Chromium")
def test_the_browser_shows_the_sweep(page: str, store: TrackingConfig, tmp_path: Path) -> None:
    browser = [str(chromium()), *QUIET, f"--user-data-dir={tmp_path}", *SHOWN, page]
    done = subprocess.run(browser, capture_output=True, text=True, timeout=300, check=False)
    seen = done.stdout
    sweep = reader.latest_sweep(store)
    for said in ("Rerankers on one data set", f"runs/{sweep}?", f"runs/{sweep}/artifacts/report"):
        assert said in seen, seen[-2000:]

    def row(text: str) -> int:
        return int(seen[: seen.index(text)].rpartition('row-index="')[2].partition('"')[0])

    shown = ["Group: ", f">{BEST}<", f">{WORSE}<", f">{FAILED}<", ">sweep<"]
    assert [row(text) for text in shown] == [0, 1, 2, 3, 4]
    header = (
        r'role="columnheader"[^>]* aria-colindex="(\d+)" col-id="[^"]*`(.*?)`"[^>]* width: (\d+)px'
    )
    columns = sorted(
        (int(index), name, int(width)) for index, name, width in re.findall(header, seen)
    )
    assert [name for _, name, _ in columns][:5] == [
        "Run Name",
        "initialisation",
        "vector/ndcg_at_5",
        "vector_reranked/ndcg_at_5",
        "latency/vector_20/total_p50_ms",
    ]
    assert columns[0][2] >= 300  # BEST is as long as names are


@pytest.mark.slow
def test_the_server_has_the_runs(page: str, store: TrackingConfig) -> None:
    experiment = page.partition("/#/experiments/")[2].partition("/")[0]
    body = json.dumps({"experiment_ids": [experiment]}).encode()
    url = f"{page.partition('/#/')[0]}/api/2.0/mlflow/runs/search"
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        runs = json.load(answer)["runs"]
    assert {BEST, WORSE, FAILED, "sweep"} == {run["info"]["run_name"] for run in runs}


def test_a_port_in_use_is_named(store: TrackingConfig, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert code_of(["ui", "--port", port, f"tracking.uri={store.uri}"]) == 2
    printed, said = capsys.readouterr()
    assert (printed, said.count("\n")) == ("", 1)
    assert said.startswith(f"error: --port {port}: ")
    assert f"make ui PORT={port + 1}" in said


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("sqlite:///none/mlflow.db", "make sweep"),
        ("http://user:hunter2@h:5000", "is a server already"),
    ],
)
def test_without_a_store_nothing_is_started(
    uri: str, said: str, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of(["ui", "--port", free_port(), f"tracking.uri={uri}"]) == 2
    printed, errors = capsys.readouterr()
    assert (printed, errors.count("\n")) == ("", 1)
    assert said in errors
    assert "hunter2" not in errors
    assert list(elsewhere.iterdir()) == []
