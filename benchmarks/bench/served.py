"""Serve a cross-encoder to many clients: ``pipeline serve``, against a plain FastAPI server.

The plain server stands for the Python servers of others. infinity can't be installed beside this
project, as it needs numpy 1, and text-embeddings-inference is no Python package. The servers run
in processes of their own and take turns to be asked.
"""

import asyncio
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.bench.load import CLIENTS, DOCUMENTS, Load, ask, bodies, total
from benchmarks.bench.results import Result
from benchmarks.bench.subjects import Subject
from pipeline.serving.server import bind

TARGET = 1.5  # times as many requests per second
ROUNDS = 3
SECONDS = 15.0  # of a round, for each server


@dataclass(frozen=True)
class LoadTest:
    """The rounds of both servers, and how far their scores of one request are apart."""

    ours: list[Load]
    plain: list[Load]
    apart: float
    health: dict[str, Any]  # what ours says of the model

    def result(self, name: str, target: float) -> Result:
        """Compare the seconds per answer; an error of ours is a failure."""
        ours, plain = total(self.ours), total(self.plain)
        answered = all(load.milliseconds for load in (*self.ours, *self.plain))
        told = f"{ours.errors} errors of {len(ours.milliseconds) + ours.errors} requests"
        return Result(
            name,
            target,
            [load.seconds_per_answer for load in self.ours],
            [load.seconds_per_answer for load in self.plain],
            f"{told}, stock {plain.errors}; scores differ by {self.apart:.0e} at most",
            answered and ours.errors == 0,
            {
                "clients": CLIENTS,
                "documents": DOCUMENTS,
                "precision": self.health["precision"],
                "milliseconds": ours.percentiles(),
                "stock_milliseconds": plain.percentiles(),
            },
        )


def served(target: float) -> Iterator[Result]:
    """Load both servers over the untrained cross-encoder, in short rounds."""
    subject = Subject("cross_encoder")
    data = subject.shared.dataset
    requests = bodies(list(data.test.queries.values()), list(data.corpus.values()))
    found = load_test(subject.saved, requests, ROUNDS, SECONDS)
    yield found.result(f"served, cross_encoder to {CLIENTS} clients", target)


def load_test(
    folder: Path,
    requests: Sequence[Any],
    rounds: int,
    seconds: float,
    overrides: Sequence[str] = (),
) -> LoadTest:
    """Ask both servers over the model in ``folder`` in turns, each for ``seconds`` a round.

    ``overrides``, such as ``hardware.precision=fp32``, are passed to ``pipeline serve``.

    Raises:
        RuntimeError: a server ended before it answered.
    """
    ports = [free_port(), free_port()]
    ours, plain = addresses = [f"http://127.0.0.1:{port}" for port in ports]
    commands = [
        ["pipeline", "serve", f"model={folder}", *overrides, "--port", str(ports[0])],
        ["benchmarks.bench.plain_server", str(folder), str(ports[1])],
    ]
    loads: dict[str, list[Load]] = {address: [] for address in addresses}
    with ExitStack() as stack:
        for address, command in zip(addresses, commands, strict=True):
            start(command, address, stack)
            asyncio.run(ask(address, requests, min(1.0, seconds), Load()))
        one, other = (_scores(address, requests[0]) for address in addresses)
        health = httpx.get(f"{ours}/health").json()
        for _ in range(rounds):
            for address in addresses:
                loads[address].append(Load())
                asyncio.run(ask(address, requests, seconds, loads[address][-1]))
    apart = float(np.abs(np.subtract(one, other)).max())
    return LoadTest(loads[ours], loads[plain], apart, health)


def start(command: Sequence[str], address: str, stack: ExitStack) -> None:
    """Start a module as a server, which ends with ``stack``, and wait until it answers.

    Raises:
        RuntimeError: it ended.
    """
    words = [sys.executable, "-m", *command]
    process = stack.enter_context(subprocess.Popen(words, stdout=subprocess.DEVNULL))
    stack.callback(process.terminate)
    while process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"a server ended with code {process.returncode}: {' '.join(command)}")


def free_port() -> int:
    """A port of loopback that nobody uses."""
    with bind("127.0.0.1", 0) as listener:
        return int(listener.getsockname()[1])


def _scores(address: str, body: Any) -> list[float]:
    """The scores of one request, in the order of its documents."""
    results = httpx.post(f"{address}/rerank", json=body, timeout=120).json()["results"]
    return [found["relevance_score"] for found in sorted(results, key=lambda found: found["index"])]
