"""Load the server, and a plain FastAPI server over the same model, in turns.

    python benchmarks/serving.py outputs/runs/RUN/model --seconds 60

16 clients ask at once, each for 20 documents of pydocs and again once it is answered. The plain
server is what a tutorial shows: each request calls ``CrossEncoder.predict`` in a thread of the pool
of FastAPI, with the defaults of both libraries. The servers run in processes of their own and take
turns, for a quarter of the seconds each. Words after the folder, such as
``hardware.precision=fp32``, are passed to ``python -m pipeline serve``.

Prints requests per second, percentiles of their milliseconds and errors as Markdown tables.
"""

import argparse
import asyncio
import random
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from pipeline import data
from pipeline.config.compose import compose
from pipeline.config.stages import HardwareConfig
from pipeline.infra.hardware import resolve
from pipeline.infra.stage_cache import StageCache
from pipeline.serving.server import bind

CLIENTS = 16
DOCUMENTS = 20
ROUNDS = 4


@dataclass
class Load:
    """What the clients of a server saw."""

    seconds: float = 0.0
    milliseconds: list[float] = field(default_factory=list)  # of answers with scores
    errors: int = 0

    @property
    def rate(self) -> float:
        """Requests per second that were answered with scores."""
        return len(self.milliseconds) / self.seconds

    def row(self, name: str) -> str:
        """A row of the table."""
        cells = [name, f"{self.rate:.1f}"]
        cells += [f"{value:.0f}" for value in np.percentile(self.milliseconds, (50, 95, 99))]
        return f"| {' | '.join(cells)} | {self.errors} |"


def requests(count: int = 200) -> list[dict[str, Any]]:
    """Test queries of pydocs, each with other passages."""
    config = compose([])
    dataset = data.load(config.dataset, StageCache(Path(config.output_dir) / "cache"))
    texts, queries = list(dataset.corpus.values()), list(dataset.test.queries.values())
    draw = random.Random(0)
    return [
        {"query": draw.choice(queries), "documents": draw.sample(texts, DOCUMENTS)}
        for _ in range(count)
    ]


async def ask(address: str, bodies: list[dict[str, Any]], seconds: float, load: Load) -> None:
    """Ask with all clients for ``seconds``; a request that has begun is waited for."""
    limits = httpx.Limits(max_connections=CLIENTS)
    start, queue = time.perf_counter(), cycle(bodies)

    async def ask_again(client: httpx.AsyncClient) -> None:
        while time.perf_counter() - start < seconds:
            asked = time.perf_counter()
            try:
                answer = await client.post("/rerank", json=next(queue))
            except httpx.HTTPError:
                load.errors += 1
                continue
            if answer.status_code == 200 and len(answer.json()["results"]) == DOCUMENTS:
                load.milliseconds.append(1000 * (time.perf_counter() - asked))
            else:
                load.errors += 1

    async with httpx.AsyncClient(base_url=address, limits=limits, timeout=120) as client:
        await asyncio.gather(*(ask_again(client) for _ in range(CLIENTS)))
    load.seconds += time.perf_counter() - start


def serve_plainly(folder: str, port: int) -> None:
    """Serve the model as a tutorial does."""
    import uvicorn
    from fastapi import FastAPI
    from fastapi.concurrency import run_in_threadpool
    from sentence_transformers import CrossEncoder

    app, model = FastAPI(), CrossEncoder(folder)

    @app.get("/health")
    async def health() -> str:
        return "ok"

    @app.post("/rerank")
    async def rerank(body: dict[str, Any]) -> dict[str, Any]:
        pairs = [(body["query"], document) for document in body["documents"]]
        scores = (await run_in_threadpool(model.predict, pairs)).tolist()
        best = sorted(range(len(scores)), key=lambda i: -scores[i])
        return {"results": [{"index": i, "relevance_score": scores[i]} for i in best]}

    uvicorn.run(app, port=port, log_level="error")


def started(command: list[str], address: str, stack: ExitStack) -> None:
    """Start a server, which ends with ``stack``, and wait until it answers.

    Raises:
        RuntimeError: it ended.
    """
    process = stack.enter_context(subprocess.Popen([sys.executable, *command]))
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


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--seconds", type=float, default=60, help="of load for each server")
    parser.add_argument("--plain", type=int, metavar="PORT", help="be the plain server")
    words = parser.parse_intermixed_args()
    if words.plain:
        return serve_plainly(words.folder, words.plain)
    bodies = requests()
    ours, plain = free_port(), free_port()
    served = ["-m", "pipeline", "serve", f"model={words.folder}", *words.overrides]
    commands = {
        f"http://127.0.0.1:{ours}": [*served, "--port", str(ours)],
        f"http://127.0.0.1:{plain}": [__file__, words.folder, "--plain", str(plain)],
    }
    loads = {address: [Load() for _ in range(ROUNDS)] for address in commands}
    with ExitStack() as stack:
        for address, command in commands.items():
            started(command, address, stack)
            asyncio.run(ask(address, bodies, 1, Load()))
        health = httpx.get(f"http://127.0.0.1:{ours}/health").json()
        for i in range(ROUNDS):
            for address in commands:
                asyncio.run(ask(address, bodies, words.seconds / ROUNDS, loads[address][i]))
    machine = resolve(HardwareConfig())
    print(f"\n{machine.name}, {machine.threads} threads, {machine.device}; {CLIENTS} clients with")
    print(
        f"{DOCUMENTS} documents each; {health['architecture']}, served in {health['precision']}\n"
    )
    columns = ("server", "requests/s", "p50 ms", "p95 ms", "p99 ms", "errors")
    for name, rounds in zip(("pipeline serve", "plain FastAPI"), loads.values(), strict=True):
        print(f"| {' | '.join(columns)} |\n| --- {'| ---: ' * 5}|")
        for i, load in enumerate(rounds, start=1):
            print(load.row(f"{name}, round {i}"))
        print(total(rounds).row(f"{name}, all"), end="\n\n")
    by_round = [a.rate / b.rate for a, b in zip(*loads.values(), strict=True)]
    ratio = total(loads[f"http://127.0.0.1:{ours}"]).rate
    ratio /= total(loads[f"http://127.0.0.1:{plain}"]).rate
    spread = f"{min(by_round):.2f} to {max(by_round):.2f} by round"
    print(f"requests/s of pipeline serve over plain FastAPI: {ratio:.2f} ({spread})")
    return None


def total(rounds: list[Load]) -> Load:
    """All rounds as one."""
    return Load(
        sum(load.seconds for load in rounds),
        [value for load in rounds for value in load.milliseconds],
        sum(load.errors for load in rounds),
    )


if __name__ == "__main__":
    main()
