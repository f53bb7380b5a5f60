"""Real servers on loopback for the tests that need one."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from pipeline.serving import server
from pipeline.serving.app import Served, create_app
from pipeline.serving.limits import Limits
from pipeline.tracking.ui_server import ENVIRONMENT

LIMITS = Limits(documents=50, body_bytes=100_000, seconds=20, waiting=8)


def free_port() -> int:
    """A port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def mlflow_server(folder: Path, store: str, port: int | None = None) -> Iterator[str]:
    """The address of an MLflow server over ``store`` once it answers; killed at the end.

    Artifacts go through it into ``folder``.
    """
    port = port or free_port()
    address, log = f"http://127.0.0.1:{port}", folder / "server.log"
    with log.open("w") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--port", str(port)]
            + ["--backend-store-uri", store, "--artifacts-destination", str(folder / "artifacts")],
            stdout=said,
            stderr=said,
            cwd=folder,
            env=os.environ | ENVIRONMENT,
            start_new_session=True,
        )
    try:
        wait_for(f"{address}/health", process, log)
        yield address
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its workers too; nothing in it is kept
        process.wait()


@contextmanager
def running(
    served: Served, limits: Limits = LIMITS, token: str | None = None, most_pairs: int = 256
) -> Iterator[tuple[str, server.Server]]:
    """A server in a thread of this process with its address; at the end it is shut down."""
    app = create_app(served, limits, token, most_pairs)
    listener = server.bind("127.0.0.1", 0)
    address = server.listen(listener)
    begun = server.server_of(app, limits, "serves")
    thread = threading.Thread(target=begun.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield address, begun
    finally:
        begun.should_exit = True
        thread.join(30)
        listener.close()
        assert not thread.is_alive()


@contextmanager
def rerank_server(
    served: Served, limits: Limits = LIMITS, token: str | None = None, most_pairs: int = 256
) -> Iterator[str]:
    """The address of a server as in ``running``."""
    with running(served, limits, token, most_pairs) as (address, _):
        yield address


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path, seconds: float = 300) -> None:
    """Return when ``url`` answers; fail with ``log`` if ``process`` ends or it never does."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            if process.poll() is not None:
                pytest.fail(f"the server ended with code {process.returncode}:\n{log.read_text()}")
            if time.monotonic() > deadline:
                pytest.fail(f"no answer from {url} in {seconds} s:\n{log.read_text()}")
            time.sleep(0.2)


def until(holds: Callable[[], bool]) -> None:
    """Return when ``holds()``; fail after 20 s."""
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)
