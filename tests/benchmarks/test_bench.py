"""The benchmarks' figures are medians of rounds that took turns."""

import pytest

from benchmarks.bench.__main__ import main
from benchmarks.bench.results import Result, alternate


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
