"""The address and the token that a server may start with, and its end."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import httpx
import pytest

from pipeline.records import InputError
from pipeline.serving.app import Served, create_app
from pipeline.serving.server import bind, is_loopback, listen, server_of, token_for
from tests.scorers import Watched
from tests.servers import LIMITS, rerank_server, until


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("example.org", False),
        ("localhost.example.org", False),
        ("", False),
    ],
)
def test_only_loopback_needs_no_token(
    host: str, local: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert is_loopback(host) == local
    monkeypatch.setenv("RERANKER_TOKEN", "s3cret")
    assert token_for(host) == "s3cret"
    monkeypatch.setenv("RERANKER_TOKEN", "")
    if local:
        assert token_for(host) is None
    else:
        with pytest.raises(InputError, match="RERANKER_TOKEN"):
            token_for(host)


def test_the_schema_says_which_paths_need_the_token(served: Served) -> None:
    headers = {"Authorization": "Bearer s3cret"}
    with rerank_server(served, token="s3cret") as address:
        described = httpx.get(f"{address}/openapi.json", headers=headers).json()
    assert described["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    paths = described["paths"]
    posts = {path for path, methods in paths.items() if "security" in methods.get("post", {})}
    assert posts == {"/rerank", "/v1/rerank", "/v2/rerank"}
    assert "security" in paths["/metrics"]["get"] and "security" not in paths["/health"]["get"]


def test_many_clients_at_once_get_their_own_scores(watched: Watched, address: str) -> None:
    def ask(i: int) -> list[float]:
        texts = [f"text {i}", f"another {i}"]
        body = {"query": f"query {i}", "texts": texts, "raw_scores": True}
        found = httpx.post(f"{address}/rerank", json=body, timeout=60).json()
        return [item["score"] for item in sorted(found, key=lambda item: item["index"])]

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(ask, range(24)))
    for i, scores in enumerate(results):
        ids = {"a": f"text {i}", "b": f"another {i}"}
        alone = watched.model.score_pairs({"q": f"query {i}"}, ids, [("q", "a"), ("q", "b")])
        assert scores == pytest.approx(alone.tolist(), abs=1e-4)
    assert sum(watched.calls) == 48
    assert threading.active_count() < 50


def test_an_address_that_can_not_be_used() -> None:
    with closing(bind("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        assert listen(first) == f"http://127.0.0.1:{port}"
        with pytest.raises(InputError, match=f"--port {port}: .*in use"):
            bind("127.0.0.1", port)
    with closing(bind("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        with closing(bind("127.0.0.1", port)) as second:  # neither listens yet
            listen(first)
            with pytest.raises(InputError, match=f"--port {port}: .*in use"):
                listen(second)
    for host, port in (("127.0.0.1", 99999), ("no.such.host.invalid", 8080), ("192.0.2.1", 8080)):
        with pytest.raises(InputError, match=f"--host {host} --port {port}: can't be used"):
            bind(host, port)


def test_at_its_end_it_finishes_what_has_begun_and_refuses_the_rest(
    watched: Watched, served: Served
) -> None:
    watched.gate.clear()
    listener = bind("127.0.0.1", 0)
    address = listen(listener)
    server = server_of(create_app(served, LIMITS, None, 256), LIMITS, "serves")
    body = {"query": "q", "documents": ["one"]}
    host, port = listener.getsockname()
    with ThreadPoolExecutor(3) as pool, httpx.Client(base_url=address, timeout=30) as client:
        running = pool.submit(server.run, sockets=[listener])
        scored = pool.submit(client.post, "/rerank", json=body)
        until(lambda: len(watched.calls) == 1)
        waits = pool.submit(client.post, "/rerank", json=body)
        until(lambda: len(server.server_state.tasks) == 2)
        with socket.create_connection((host, port)) as idle:
            until(lambda: len(server.server_state.connections) == 3)
            server.should_exit = True
            assert idle.recv(1) == b""
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{address}/health")
        assert not running.done()
        watched.gate.set()
        assert [scored.result().status_code, waits.result().status_code] == [200, 200]
        running.result(10)
    assert watched.calls == [1, 1]
