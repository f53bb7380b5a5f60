"""Clients that are slow, large, gone or strangers, beside one that is answered meanwhile."""

import dataclasses
import json
import logging
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import httpx
import pytest

from pipeline.serving.app import Served
from pipeline.serving.protocol import DocumentsRequest
from pipeline.serving.server import Connection
from tests.scorers import Watched
from tests.servers import LIMITS, rerank_server, running, until

CLIENT = httpx.Client(timeout=30)
BODY = {"query": "q", "documents": ["one", "two"]}
HEAD = b"POST /rerank HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"


@contextmanager
def raw(address: str, data: bytes) -> Iterator[socket.socket]:
    """A connection that has sent ``data``."""
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(data)
        yield connection


def read_all(connection: socket.socket) -> tuple[int, dict[str, str]]:
    """The status and the JSON of an answer after which the server closes the connection."""
    data = b""
    while part := connection.recv(65536):
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def answered(address: str) -> bool:
    return CLIENT.post(f"{address}/rerank", json=BODY).status_code == 200


@pytest.mark.slow
def test_a_trickling_body_is_ended_and_others_are_answered(served: Served) -> None:
    limits = dataclasses.replace(LIMITS, seconds=1)
    with rerank_server(served, limits) as address:
        with raw(address, HEAD + b"Content-Length: 1000\r\n\r\n{") as slow:
            answers = 0
            with pytest.raises(OSError, match=r"reset|[Bb]roken"):
                for _ in range(900):  # a byte now and then, fewer than the body should have
                    slow.sendall(b" ")
                    answers += answered(address)
                    time.sleep(0.05)
            assert answers
        with raw(address, HEAD + b"Content-Length: 1000\r\n\r\n{") as slow:
            status, body = read_all(slow)
        assert (status, list(body)) == (408, ["error"])


@pytest.mark.slow
def test_a_head_that_does_not_end_is_cut(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connection, "head_seconds", 0.5)
    wrong = HEAD + b"Content-Length: 2\r\n\r\n[]"
    with raw(address, b"") as silent, raw(address, HEAD) as slow, raw(address, wrong) as second:
        while b"JSON object" not in second.recv(65536):
            pass
        second.sendall(HEAD)  # of another request on the same connection
        assert answered(address)
        for connection in (silent, slow, second):
            assert connection.recv(1) == b""


@pytest.mark.slow
@pytest.mark.parametrize("last", [b"Connection: close\r\n", b""])
def test_an_answer_that_nobody_reads_is_cut(
    last: bytes, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Connection, "unread_seconds", 0.5)
    size = 12_000_000  # more than the system buffers
    body = json.dumps({"query": "q", "documents": ["x" * size], "return_documents": True}).encode()
    request = HEAD + last + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    with rerank_server(served, dataclasses.replace(LIMITS, body_bytes=2 * size)) as address:
        with raw(address, request) as idle:
            read = len(idle.recv(1))  # The answer has begun.
            time.sleep(1)
            assert answered(address)
            with suppress(ConnectionResetError):
                while part := idle.recv(1_000_000):
                    read += len(part)
        assert read < size


@pytest.mark.parametrize("stated", [b"Content-Length: 99999999", b"Transfer-Encoding: chunked"])
def test_a_large_body_is_refused_while_it_is_read(stated: bytes, address: str) -> None:
    large = b"x" * (LIMITS.body_bytes + 1)
    if b"chunked" in stated:
        large = b"%x\r\n%s\r\n" % (len(large), large)
    with raw(address, HEAD + stated + b"\r\n\r\n" + large[:-500]) as sender:
        assert answered(address)
        sender.sendall(large[-500:])
        status, body = read_all(sender)
    assert (status, list(body)) == (413, ["error"])
    assert f"{LIMITS.body_bytes:,} bytes" in body["error"]


def test_a_client_of_a_large_body_gets_its_answer(address: str) -> None:
    body = {"query": "q", "documents": ["x" * 5_000_000]}
    assert CLIENT.post(f"{address}/rerank", json=body).status_code == 413
    assert answered(address)


def test_a_client_that_left_is_not_scored(
    watched: Watched, served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    body = json.dumps({"query": "gone", "documents": ["a"] * 7}).encode()
    request = HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    watched.gate.clear()
    with running(served) as (address, server), ThreadPoolExecutor(2) as pool:
        requests = server.server_state.tasks
        first = pool.submit(answered, address)
        until(lambda: len(watched.calls) == 1)
        for sent in (request[:-10], request):  # killed while it sends, and while it waits
            with raw(address, sent):
                until(lambda: len(requests) == 2)
            until(lambda: len(requests) == 1)
        second = pool.submit(answered, address)
        until(lambda: len(requests) == 2)
        watched.gate.set()
        assert first.result() and second.result()
    assert watched.calls == [2, 2]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_client_that_left_is_scored_with_others(watched: Watched, address: str) -> None:
    watched.gate.clear()
    with ThreadPoolExecutor(2) as pool:
        body = json.dumps(BODY).encode()
        with raw(address, HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)):
            until(lambda: len(watched.calls) == 1)
            other = pool.submit(answered, address)
        watched.gate.set()
        assert other.result()


def test_a_request_that_takes_too_long(watched: Watched, served: Served) -> None:
    limits = dataclasses.replace(LIMITS, seconds=0.5)
    watched.gate.clear()
    with rerank_server(served, limits) as address:
        answer = CLIENT.post(f"{address}/rerank", json=BODY)
        watched.gate.set()
        assert answer.status_code == 504
        assert "0.5 s" in answer.json()["error"]
        assert answered(address)


def test_too_many_wait(watched: Watched, served: Served) -> None:
    limits = dataclasses.replace(LIMITS, waiting=1)
    watched.gate.clear()
    with rerank_server(served, limits) as address, ThreadPoolExecutor(8) as pool:
        first = pool.submit(answered, address)
        until(lambda: len(watched.calls) == 1)
        rest = [pool.submit(CLIENT.post, f"{address}/rerank", json=BODY) for _ in range(4)]
        until(lambda: sum(one.done() for one in rest) == 3)
        assert CLIENT.get(f"{address}/health").status_code == 200
        watched.gate.set()
        answers = sorted((one.result() for one in rest), key=lambda answer: answer.status_code)
        assert first.result()
    assert [answer.status_code for answer in answers] == [200, 503, 503, 503]
    assert answers[-1].headers["retry-after"] == "1"
    assert list(answers[-1].json()) == ["error"]


def test_the_token(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with rerank_server(served, token="s3cret") as address:
        url = f"{address}/rerank"
        for headers in (
            {},
            {"Authorization": "Bearer other"},
            {"Authorization": "s3cret"},
            {"Authorization": "Bearer s3cret2"},
        ):
            answer = CLIENT.post(url, json=BODY, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert list(answer.json()) == ["error"]
        for path in ("/metrics", "/nowhere", "/openapi.json"):
            assert CLIENT.get(f"{address}{path}").status_code == 401
        assert CLIENT.get(f"{address}/health").status_code == 200
        good = {"Authorization": "Bearer s3cret"}
        lower = {"Authorization": "bearer s3cret"}
        for headers in (good, lower):
            assert CLIENT.post(url, json=BODY, headers=headers).status_code == 200
        assert 'status="401"} 6.0' in CLIENT.get(f"{address}/metrics", headers=good).text
        # Refused before a byte of the body is read.
        with raw(address, HEAD + b"Content-Length: 1000\r\n\r\n") as connection:
            assert read_all(connection)[0] == 401
    # httpx logs its own requests, at level INFO and without their headers.
    assert "s3cret" not in "".join(record.getMessage() for record in caplog.records)


def test_what_is_not_http_gets_the_same_form_of_error(address: str) -> None:
    with raw(address, b"HELLO\r\n\r\n") as connection:
        status, body = read_all(connection)
    assert (status, list(body)) == (400, ["error"])
    with raw(address, HEAD + b"Transfer-Encoding: chunked\r\n\r\nnot a chunk\r\n") as connection:
        status, body = read_all(connection)
    assert (status, list(body)) == (400, ["error"])
    assert answered(address)


def test_an_error_of_the_model_is_an_answer(address: str, caplog: pytest.LogCaptureFixture) -> None:
    for text, said in (("not finite", "document 1"), ("raise", "log")):
        body = {"query": "q", "documents": ["fine", text]}
        answer = CLIENT.post(f"{address}/rerank", json=body)
        assert answer.status_code == 500
        assert said in answer.json()["error"]
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.getMessage() for record in errors] == [
        "a request was not scored: RuntimeError: out of memory"
    ]
    assert not any(record.exc_info for record in errors)
    assert answered(address)


def test_an_error_of_the_server_is_one_line(
    address: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(DocumentsRequest, "answer", lambda *_: 1 / 0)
    answer = CLIENT.post(f"{address}/rerank", json=BODY)
    assert answer.status_code == 500
    assert list(answer.json()) == ["error"]
    until(lambda: any(record.levelno >= logging.ERROR for record in caplog.records))
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.getMessage() == "POST '/rerank': ZeroDivisionError: division by zero"
    assert not record.exc_info
