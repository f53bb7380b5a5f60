"""The line of a point: its place, whichever process ran it, and how long the rest takes."""

import logging
import pickle
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.experiment.record import headline
from pipeline.sweep.clock import Clock, duration
from pipeline.sweep.task import Reported


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "10 s"), (44, "40 s"), (89, "90 s"), (90, "2 min"), (1440, "24 min"), (9000, "2.5 h")],
)
def test_durations_are_as_exact_as_an_estimate(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_the_headline_is_the_largest_cutoff_and_the_search_of_a_control() -> None:
    alone = {f"vector/{m}_at_{k}": k / 100 for m in ("ndcg", "hit_rate") for k in (5, 10)}
    assert headline(alone) == "vector hit@10 0.100, NDCG@10 0.100"
    reranked = {f"vector_reranked/{m}_at_5": 0.5 for m in ("ndcg", "hit_rate")}
    assert headline(alone | reranked) == "vector_reranked hit@5 0.500, NDCG@5 0.500"


def test_places_go_on_in_another_process(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "pipeline")
    for module in ("task", "clock"):
        monkeypatch.setattr(f"pipeline.sweep.{module}.time", SimpleNamespace(time=lambda: 1600.0))
    # 300 s were expected of each point, and the first took 600 s, of which 180 s may be chance:
    # (600 + 180) / (300 + 180) times the 600 s of the others. The second took no time.
    clock = Clock(1000.0, begun=1000.0, expected={"point": 300.0}, whole=900.0)
    first = Reported(3, str(tmp_path), clock)
    for worker in (first, pickle.loads(pickle.dumps(first)), first):
        worker.say("point", "done", 1500.0)
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == "[1/3] point: done (1:40; about 16 min left)"
    assert lines[1] == "[2/3] point: done (1:40; about 5 min left)"
    assert lines[2] == "[3/3] point: done (1:40)"
