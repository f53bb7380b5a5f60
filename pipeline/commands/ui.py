"""The runs in the browser: ``python -m pipeline ui [--port 5000] [OVERRIDES]``.

Starts an MLflow server on loopback over the local store, says where it is once it answers, and
ends with Ctrl-C. A store that is a server already needs none.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from pipeline.config.compose import compose
from pipeline.config.stages import sqlite_path
from pipeline.infra.errors import exit_code
from pipeline.infra.redact import mask
from pipeline.records import InputError

HOST = "127.0.0.1"  # never another: the server asks nobody for a password
PATIENCE = 180  # seconds for the first answer; two busy cores need 40
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # four more processes, for nothing used here
}


def serve(port: int, overrides: Sequence[str]) -> None:
    """Show the runs of the store that ``overrides`` name on ``port`` until Ctrl-C or SIGTERM.

    Raises:
        InputError, HydraException, OmegaConfBaseException: an override is wrong, there is no
            store yet, it needs no server, or the port is taken.
        RuntimeError: the server ended, or did not answer in ``PATIENCE`` seconds.
    """
    tracked = compose(overrides).tracking
    _check(tracked.uri, port)
    address = f"http://{HOST}:{port}"
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with _server(tracked.uri, port) as (process, log):
            from pipeline.tracking import ui_page

            page = ui_page.first_page(tracked)
            _wait_until_it_answers(process, f"{address}/health", log)
            print(f"MLflow UI: {address}{page}  (Ctrl-C stops it)", flush=True)
            if code := process.wait():
                raise RuntimeError(f"the MLflow server ended with code {code}: {_tail(log)}")
    except KeyboardInterrupt:  # the one way to end it
        return


def _check(uri: str, port: int) -> None:
    """What would go wrong later, in one line.

    Raises:
        InputError: see ``serve``.
    """
    if uri.startswith(("http://", "https://")):
        raise InputError(f"tracking.uri={mask(uri)}: is a server already, open it in the browser")
    path = sqlite_path(uri)
    if path is not None and not path.is_file():
        raise InputError(f"tracking.uri={uri}: nothing has been recorded yet; run make sweep first")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port just left is free
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise InputError(
                f"--port {port}: can't be used ({error}); if the UI is running already, open "
                f"http://{HOST}:{port}, else take another: make ui PORT={port + 1}"
            ) from error


@contextmanager
def _server(uri: str, port: int) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The server's process and the name of its log; both are gone afterwards."""
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri]
    command += ["--host", HOST, "--port", str(port), "--workers", "1"]
    command += ["--uvicorn-opts", "--log-level warning"]
    with tempfile.NamedTemporaryFile(prefix="mlflow-server-", suffix=".log") as log:
        # A group of its own, so that Ctrl-C comes to us and not to both.
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            env=os.environ | ENVIRONMENT,
            process_group=0,
        )
        try:
            yield process, log.name
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            process.wait(timeout=10)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # its worker, if it was left behind
    process.wait()


def _wait_until_it_answers(process: subprocess.Popen[bytes], address: str, log: str) -> None:
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
    """The last line that the server wrote, where Python puts the reason."""
    text = Path(log).read_text(encoding="utf-8", errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return mask(lines[-1]) if lines else "it said nothing"


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline ui",
        description="Browse the recorded runs in MLflow's UI, on this machine only.",
    )
    parser.add_argument("--port", type=int, default=5000, help="(%(default)s)")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="e.g. tracking.uri=...")
    arguments = parser.parse_intermixed_args()
    return exit_code(lambda: serve(arguments.port, arguments.overrides))


if __name__ == "__main__":
    sys.exit(main())
