"""Run MLflow's user interface as a server on loopback."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from pipeline.config.stages import TrackingConfig, sqlite_path
from pipeline.infra.redact import mask
from pipeline.records import InputError

# Never another host: the server asks for no password.
HOST = "127.0.0.1"
PATIENCE = 180  # seconds until the first answer; two busy cores need 40
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # Four more processes, for features that are not used here.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}


def serve(config: TrackingConfig, port: int) -> None:
    """Show the runs of the tracking store on ``port`` until Ctrl-C or SIGTERM.

    Prints the address once the server answers.

    Raises:
        InputError: there is no store yet, it needs no server, or the port is taken.
        RuntimeError: the server ended, or did not answer in ``PATIENCE`` seconds.
    """
    _check(config.uri, port)
    address = f"http://{HOST}:{port}"
    signal.signal(signal.SIGTERM, _interrupt)
    # Ctrl-C is the usual way to end it, not a failure.
    with suppress(KeyboardInterrupt), _server(config.uri, port) as (process, log):
        # Imports MLflow, which takes a second, while the server starts.
        from pipeline.tracking import ui_page

        page = ui_page.first_page(config)
        _wait_until_it_answers(process, f"{address}/health", log)
        print(f"MLflow UI: {address}{page}  (Ctrl-C stops it)", flush=True)
        if code := process.wait():
            raise RuntimeError(f"the MLflow server ended with code {code}: {_tail(log)}")


def _check(uri: str, port: int) -> None:
    """Check that the store needs a server and that the port is free.

    Raises:
        InputError: see ``serve``.
    """
    if uri.startswith(("http://", "https://")):
        raise InputError(
            f"tracking.uri={mask(uri)}: is a server already; open this address in the browser"
        )
    path = sqlite_path(uri)
    if path is not None and not path.is_file():
        raise InputError(f"tracking.uri={uri}: nothing has been recorded yet; run make sweep first")
    with socket.socket() as probe:
        # A port that was closed a moment ago counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise InputError(
                f"--port {port}: can't be used ({error}); if the UI is running already, open "
                f"http://{HOST}:{port}; otherwise choose another: make ui PORT={port + 1}"
            ) from error


@contextmanager
def _server(uri: str, port: int) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Start the server; yield its process and the name of its log, and remove both at the end."""
    command = [sys.executable, "-m", "mlflow", "server"]
    command += ["--host", HOST, "--port", str(port), "--workers", "1"]
    command += ["--uvicorn-opts", "--log-level warning"]
    with tempfile.NamedTemporaryFile(prefix="mlflow-server-", suffix=".log") as log:
        # In a process group of its own, so that Ctrl-C reaches only this process.
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            # No argument, as every user of the machine could read its password there.
            env=os.environ | ENVIRONMENT | {"MLFLOW_BACKEND_STORE_URI": uri},
            process_group=0,
        )
        try:
            yield process, log.name
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the server and what it has started."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            process.wait(timeout=10)
    # Its worker may have been left behind.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _wait_until_it_answers(process: subprocess.Popen[bytes], address: str, log: str) -> None:
    """Return when ``address`` answers.

    Raises:
        RuntimeError: the server ended, or did not answer in ``PATIENCE`` seconds.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except OSError:
            pass
        if process.poll() is not None:
            raise RuntimeError(f"the MLflow server did not start: {_tail(log)}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"the MLflow server did not answer in {PATIENCE} s: {_tail(log)}")
        time.sleep(0.2)


def _tail(log: str) -> str:
    """The last line of the server's log, where Python puts the reason."""
    text = Path(log).read_text(encoding="utf-8", errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return mask(lines[-1]) if lines else "its log is empty"


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
