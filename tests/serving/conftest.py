"""One tiny model of each architecture, loaded as a server does."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pytest

from pipeline.infra.hardware import Hardware
from pipeline.protocols import Scorer, Scores
from pipeline.rerankers.saved import load_saved
from pipeline.serving.app import Served
from tests.conftest import Saved
from tests.servers import rerank_server


@pytest.fixture(scope="session")
def loaded(saved: Saved, machine: Hardware) -> Callable[[str], Scorer]:
    """The saved model as a scorer: ``loaded("colbert")``."""
    return cache(lambda arch: load_saved("model", saved(arch), machine, 32))


@dataclass
class Watched:
    """Scores with a real model; waits at ``gate``, and fails at passages that say so."""

    model: Scorer
    gate: threading.Event = field(default_factory=threading.Event)
    calls: list[int] = field(default_factory=list)
    """Pairs of each call, from its beginning."""

    def score_pairs(
        self,
        queries: Mapping[str, str],
        passages: Mapping[str, str],
        pairs: Sequence[tuple[str, str]],
        progress: bool = False,
    ) -> Scores:
        self.calls.append(len(pairs))
        assert self.gate.wait(30)
        texts = [passages[doc_id] for _, doc_id in pairs]
        if "raise" in texts:
            raise RuntimeError("out of memory")
        scores = self.model.score_pairs(queries, passages, pairs)
        return np.where([text == "not finite" for text in texts], np.float32("nan"), scores)


@pytest.fixture
def watched(loaded: Callable[[str], Scorer]) -> Watched:
    """A cross-encoder whose gate is open."""
    model = Watched(loaded("cross_encoder"))
    model.gate.set()
    return model


@pytest.fixture
def served(watched: Watched) -> Served:
    return Served(watched, "tiny", "cross_encoder", "fp32", "cpu")


@pytest.fixture
def address(served: Served) -> Iterator[str]:
    """A server over ``watched``."""
    with rerank_server(served) as found:
        yield found


def until(holds: Callable[[], bool]) -> None:
    """Return when ``holds()``; fail after 20 s."""
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)
