"""Real servers on loopback for the tests that need one."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from pipeline.tracking.ui_server import ENVIRONMENT


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
