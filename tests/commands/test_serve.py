"""``serve`` as a process: what it prints, what it answers and how it ends."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from pipeline.commands.serve import load
from tests.commands.conftest import code_of
from tests.conftest import Saved
from tests.points import CHILD, compose_config
from tests.servers import until

DOCUMENTS = ["Draws a graph with a layout. " * 8, "Merges the other config into this one."]
REQUEST = {"query": "merge two configurations", "documents": DOCUMENTS}
WORDS = ["hardware.precision=fp32", "hardware.threads=1", "rerank.windows=16"]


SERVE = ["-m", "pipeline", "serve", *WORDS]
HELD = ["-m", "tests.commands.held", "serve", "model=held", "--timeout", "300"]


@contextmanager
def serving(*words: str, token: str = "") -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The line that the program prints, and its process; killed if the test has not ended it."""
    command = [sys.executable, *words, "--port", "0"]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=CHILD | {"RERANKER_TOKEN": token},
    )
    assert process.stdin and process.stdout and process.stderr
    try:
        line = process.stdout.readline()
        if not line:
            pytest.fail(f"the server did not start: {process.stderr.read()}")
        yield line, process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
        process.stderr.close()


@pytest.mark.slow
def test_it_scores_as_the_command_does_and_ends_cleanly(
    saved: Saved,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    folder = saved("cross_encoder")
    monkeypatch.chdir(tmp_path)
    assert code_of(["score", f"model={folder}", *WORDS, REQUEST["query"], *DOCUMENTS]) == 0
    printed = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    with serving(*SERVE, f"model={folder}", token="s3cret") as (line, process):
        address, _, rest = line.partition("/rerank serves ")
        assert address.startswith("http://127.0.0.1:")
        assert rest == f"{folder} (cross_encoder, fp32 on cpu)  (Ctrl-C stops it)\n"
        headers = {"Authorization": "Bearer s3cret"}
        with httpx.Client(base_url=address, headers=headers, timeout=60) as client:
            assert client.get("/health").json()["model"] == str(folder)
            results = client.post("/v2/rerank", json=REQUEST).json()["results"]
            found = [(r["relevance_score"], DOCUMENTS[r["index"]].strip()) for r in results]
            assert [(f"{score:.4f}", text) for score, text in found] == [
                (score, text) for score, text in printed
            ]
            assert httpx.post(f"{address}/rerank", json=REQUEST).status_code == 401
            assert client.post("/rerank", json=[]).status_code == 422
        process.send_signal(signal.SIGTERM)
        out, errors = process.communicate(timeout=30)
        assert (process.returncode, out, errors) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def scored(address: str) -> list[float]:
    """The scores of a request."""
    results = httpx.post(f"{address}/rerank", json=REQUEST, timeout=60).json()["results"]
    return [result["relevance_score"] for result in results]


def refuses(address: str) -> bool:
    """Whether the server takes no more connections."""
    try:
        httpx.get(f"{address}/health", timeout=60)
    except httpx.TransportError:
        return True
    return False


@pytest.mark.slow
def test_what_is_scored_is_answered_before_it_ends() -> None:
    with serving(*HELD) as (line, process), ThreadPoolExecutor(1) as pool:
        assert process.stdout
        address = line.partition("/rerank serves ")[0]
        asked = pool.submit(scored, address)
        assert process.stdout.readline() == "scoring\n"
        process.send_signal(signal.SIGTERM)
        until(lambda: refuses(address))
        assert not asked.done()
        out, errors = process.communicate("go on\n", timeout=60)
        assert asked.result() == [0.5, 0.5]
        assert (process.returncode, out, errors) == (0, "", "")


@pytest.mark.slow
def test_a_second_interrupt_does_not_wait() -> None:
    with serving(*HELD) as (line, process), ThreadPoolExecutor(1) as pool:
        assert process.stdout
        address = line.partition("/rerank serves ")[0]
        asked = pool.submit(scored, address)
        assert process.stdout.readline() == "scoring\n"
        process.send_signal(signal.SIGINT)
        until(lambda: refuses(address))
        assert not asked.done()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert isinstance(asked.exception(), httpx.TransportError)
        assert process.communicate() == ("", "interrupted\n")


@pytest.mark.slow
def test_another_engine_serves_the_same_scores(saved: Saved) -> None:
    torch, openvino = (
        load(
            str(saved("cross_encoder")),
            compose_config(["hardware.precision=fp32", f"rerank.variant={variant}"]),
        ).model
        for variant in ("torch", "openvino")
    )
    texts = {str(n): document for n, document in enumerate(DOCUMENTS)}
    asked = {"q": "merge two configurations"}, texts, [("q", name) for name in texts]
    expected = torch.score_pairs(*asked)
    assert openvino.score_pairs(*asked) == pytest.approx(expected, abs=1e-4)


def test_a_port_in_use_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert code_of(["serve", "model=m", "--port", port]) == 2
    printed, said = capsys.readouterr()
    assert (printed, said.count("\n")) == ("", 1)
    assert said.startswith(f"error: --host 127.0.0.1 --port {port}: ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "model=REF is missing"),
        (["model=m", "--host", "0.0.0.0"], "RERANKER_TOKEN"),
        (["model=m", "arch=colbert"], "arch=colbert: "),
        (["model=m", "query"], "query: "),
        (["model=m", "--port", "one"], "'one'"),
        (["model=m", "--port", "70000"], "--port 70000: "),
        (["model=m", "--timeout", "0"], "at least 1"),
        (["model=nowhere/m", "--port", "0"], "model=nowhere/m"),
        (["model=m", "--port", "0", "rerank.windows=0"], "rerank.windows=0"),
        (["model=m", "--port", "0", "rerank.variant=onnx"], "rerank.variant=onnx"),
    ],
)
def test_a_mistake_is_one_line(
    words: list[str],
    said: str,
    elsewhere: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("RERANKER_TOKEN", raising=False)
    assert code_of(["serve", *words]) == 2
    printed, errors = capsys.readouterr()
    assert (printed, errors.count("\n")) == ("", 1)
    assert said in errors
    assert list(elsewhere.iterdir()) == []


def test_a_folder_without_a_reranker_is_one_line(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (elsewhere / "empty").mkdir()
    (elsewhere / "empty" / "config.json").write_text(json.dumps({"architectures": ["BertModel"]}))
    code = code_of(["serve", f"model={elsewhere / 'empty'}", "--port", "0"])
    printed, errors = capsys.readouterr()
    assert (code, printed, errors.count("\n")) == (2, "", 1)
    assert "empty" in errors
