"""The load test counts what clients see, and passes without errors of our server alone."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import serving
from benchmarks.bench.__main__ import BENCHMARKS
from benchmarks.bench.load import CLIENTS, DOCUMENTS, Load, ask, bodies, total
from benchmarks.bench.served import LoadTest, load_test
from pipeline.protocols import Scorer
from pipeline.serving.app import Served
from pipeline.serving.limits import Limits
from tests.servers import rerank_server

WAITING = Limits(documents=50, body_bytes=100_000, seconds=20, waiting=64)
REQUESTS = bodies(["merge two configurations"], [f"passage {n}" for n in range(30)], count=3)


def loads(*answers: int, errors: int = 0) -> list[Load]:
    """Rounds of 10 s with so many answers."""
    return [Load(10.0, [100.0] * count, errors) for count in answers]


def both(ours: list[Load], plain: list[Load]) -> LoadTest:
    health = {"architecture": "cross_encoder", "precision": "fp32"}
    return LoadTest(ours, plain, 1e-6, health)


def test_the_ratio_is_that_of_requests_per_second() -> None:
    result = both(loads(40, 60, 30), loads(20, 20, 20)).result("n", 1.5)
    assert result.ratio == pytest.approx(2)
    assert result.met
    assert not both(loads(28), loads(20)).result("n", 1.5).met
    assert json.loads(json.dumps(result.record()))["inputs"]["clients"] == CLIENTS


def test_an_error_of_ours_is_a_failure_and_one_of_the_other_is_told() -> None:
    wrong = both(loads(40, errors=1), loads(20)).result("n", 1.5)
    assert wrong.ratio == 2 and not wrong.met
    other = both(loads(40), loads(20, errors=3)).result("n", 1.5)
    assert other.met and "stock 3;" in other.line()
    # Servers that answer nothing are not compared, in whichever order.
    assert not both(loads(0, errors=9), loads(20)).result("n", 1.5).met
    assert not both(loads(40), loads(0, errors=9)).result("n", 1.5).met


def test_clients_count_answers_and_errors(loaded: Callable[[str], Scorer]) -> None:
    served, load = Served(loaded("cross_encoder"), "tiny", "cross_encoder", "fp32", "cpu"), Load()
    with rerank_server(served, WAITING) as address:
        asyncio.run(ask(address, REQUESTS, 0.2, load))
    assert load.errors == 0 and len(load.milliseconds) >= CLIENTS
    assert load.seconds >= 0.2 and list(load.percentiles()) == ["p50", "p95", "p99"]
    few = Limits(documents=DOCUMENTS - 1, body_bytes=100_000, seconds=20, waiting=64)
    refused = Load()
    with rerank_server(served, few) as address:
        asyncio.run(ask(address, REQUESTS, 0.1, refused))
    assert refused.milliseconds == [] and refused.errors >= CLIENTS
    assert refused.percentiles() == {}
    assert total([load, refused]).errors == refused.errors


def test_make_bench_has_the_row() -> None:
    assert [name for name in BENCHMARKS if name.startswith("served")] == ["served, cross_encoder"]


@pytest.mark.parametrize(("ours", "code"), [(loads(40), 0), (loads(20), 1)])
def test_the_script_exits_with_1_below_the_target(
    ours: list[Load], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "FILE", tmp_path / "serving.json")
    monkeypatch.setattr(serving, "load_test", lambda *_: both(ours, loads(20)))
    monkeypatch.setattr(serving, "pydocs_requests", lambda: REQUESTS)
    assert serving.main(["folder", "hardware.precision=fp32", "--seconds", "4"]) == code
    written = json.loads((tmp_path / "serving.json").read_text())
    assert written["versions"].keys() >= {"fastapi", "torch"}
    assert [found["met"] for found in written["results"]] == [code == 0]


@pytest.mark.slow
def test_both_servers_answer_alike(loaded: Callable[[str], Scorer], tmp_path: Path) -> None:
    loaded("cross_encoder").save(tmp_path / "model")  # type: ignore[attr-defined]
    found = load_test(tmp_path / "model", REQUESTS, 1, 0.2, ["hardware.precision=fp32"])
    assert found.apart < 1e-5
    assert total(found.ours).errors == total(found.plain).errors == 0
    assert all(load.milliseconds for load in (*found.ours, *found.plain))
