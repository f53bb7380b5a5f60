"""The benchmarks' figures are medians of rounds that took turns, and shares of a whole."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.bench import __main__ as bench
from benchmarks.bench.__main__ import main
from benchmarks.bench.results import Finding, Result, Share, alternate


def result(**changes: object) -> Result:
    given: dict[str, object] = {
        "name": "n",
        "target": 2.0,
        "ours": [1.0, 1.0, 4.0],
        "stock": [2.0, 3.0, 4.0],
        "same": "equal",
    }
    return Result(**given | changes)  # type: ignore[arg-type]


def test_the_ratio_is_that_of_the_medians() -> None:
    assert result().ratio == 3.0
    assert result().met
    assert not result(target=3.1).met
    assert not result(passed=False).met  # fast, but another result
    assert result().line() == "n: 3.0x (1.0 to 3.0), target 2x, met; equal"


def test_ways_take_turns_and_the_first_round_does_not_count() -> None:
    order: list[str] = []
    seconds = alternate({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 2)
    assert order == ["a", "b"] * 3
    assert {name: len(timed) for name, timed in seconds.items()} == {"a": 2, "b": 2}


def test_an_unknown_name_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nothing"]) == 2
    assert "there are: evaluation, cross_encoder; " in capsys.readouterr().err


def share(**changes: object) -> Share:
    given: dict[str, object] = {"name": "n", "value": 0.03, "of": "it", "about": "the rest 97%"}
    return Share(**given | changes)  # type: ignore[arg-type]


def test_a_share_may_have_an_upper_or_a_lower_target_or_none() -> None:
    assert share(at_most=0.03).met
    assert share(value=0.031, at_most=0.03).met is False
    assert share(value=0.4, at_least=0.4).met
    assert share(value=0.39, at_least=0.4).met is False
    assert share().met is None
    assert share(at_most=0.03).line() == "n: 3.0% of it, target at most 3%, met; the rest 97%"
    assert share(at_least=0.4).line() == "n: 3.0% of it, target at least 40%, NOT met; the rest 97%"
    assert share().line() == "n: 3.0% of it; the rest 97%"


@pytest.mark.parametrize(
    ("findings", "code", "told"),
    [
        ([result(), share()], 0, "1 of 1 targets met"),
        ([result(), share(at_most=0.02)], 1, "1 of 2 targets met"),
        ([share()], 0, "0 of 0 targets met"),
    ],
)
def test_the_exit_code_is_1_if_a_target_is_missed(
    findings: list[Finding],
    code: int,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def find() -> Iterator[Finding]:
        yield from findings

    monkeypatch.setattr(bench, "BENCHMARKS", {"some": find, "others": find})
    monkeypatch.setattr(bench, "FILE", tmp_path / "bench.json")
    assert main(["some"]) == code
    assert told in capsys.readouterr().out
    written = json.loads((tmp_path / "bench.json").read_text())["results"]
    assert [found["met"] for found in written] == [found.met for found in findings]
