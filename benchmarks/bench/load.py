"""Ask a server that reranks with many clients at once, and count its answers."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import httpx
import numpy as np

CLIENTS = 16
DOCUMENTS = 20  # of a request


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

    @property
    def seconds_per_answer(self) -> float:
        """1 / rate; all seconds if nothing was answered."""
        return self.seconds / max(1, len(self.milliseconds))

    def percentiles(self) -> dict[str, float]:
        """Milliseconds of a request; none if nothing was answered."""
        if not self.milliseconds:
            return {}
        shares = (50, 95, 99)
        values = np.percentile(self.milliseconds, shares)
        return {f"p{share}": float(value) for share, value in zip(shares, values, strict=True)}


def total(rounds: Sequence[Load]) -> Load:
    """All rounds as one."""
    return Load(
        sum(load.seconds for load in rounds),
        [value for load in rounds for value in load.milliseconds],
        sum(load.errors for load in rounds),
    )


def bodies(queries: Sequence[str], passages: Sequence[str], count: int = 200) -> list[Any]:
    """Draw requests of a query and other passages each time."""
    draw = random.Random(0)
    return [
        {"query": draw.choice(queries), "documents": draw.sample(passages, DOCUMENTS)}
        for _ in range(count)
    ]


async def ask(address: str, requests: Sequence[Any], seconds: float, load: Load) -> None:
    """Ask with all clients for ``seconds``; a request that has begun is waited for."""
    limits = httpx.Limits(max_connections=CLIENTS)
    start, queue = time.perf_counter(), cycle(requests)

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
