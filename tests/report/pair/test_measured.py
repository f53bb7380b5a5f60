"""Models that were just measured: the gate and the JSON object."""

import json
from dataclasses import replace

import pytest

from pipeline.evaluation.significance import PairedDifference
from pipeline.records import Hit, Refused
from pipeline.report.pair.difference import Difference, Row, Side, Texts
from pipeline.report.pair.measured import Setting, as_json, differ, gate, system

SETTING = Setting("run:new", "run:old", "tiny", "f" * 64, "retrieve", "ndcg_at_10", 2)
TEXTS = Texts({"a": "query a", "b": "query b"}, {"x": "text x", "y": "text y"}, {"a": {"y": 1}})


def measured(a: float, b: float) -> Side:
    ranking = {query: [Hit("x", 2.0), Hit("y", 1.0)] for query in "ab"}
    return system({"vector": {"a": a, "b": b}, "fts": {"a": 0.5, "b": 0.5}}, ranking)


def compared() -> Difference:
    return differ(SETTING, "vector", measured(0.5, 1.0), measured(0.25, 0.5), None, TEXTS)


@pytest.mark.parametrize(
    ("mean", "p_value", "message"),
    [
        (0.025, 0.01, None),
        (0.024, 0.01, r"ndcg_at_10 \(vector\).*\+4\.8%.*\+5\.0%"),
        (0.1, 0.05, r"\+20\.0%.*p = 0\.050"),
    ],
)
def test_the_gate(mean: float, p_value: float, message: str | None) -> None:
    difference = PairedDifference(mean, 0.0, 1.0, p_value)
    row = Row("vector", a=0.5, b=0.5 + mean, difference=difference)
    if message is None:
        gate(row, "ndcg_at_10", 0.05)
    else:
        with pytest.raises(Refused, match=message):
            gate(row, "ndcg_at_10", 0.05)


def test_a_model_that_ranks_nothing_is_named_and_passes_no_gate() -> None:
    row = Row("vector", a=0.5, b=1.0, difference=PairedDifference(0.5, 0.4, 0.6, 0.001))
    gate(row, "ndcg_at_10", 0.05, ["baseline"])
    with pytest.raises(Refused, match="the model ranks nothing"):
        gate(row, "ndcg_at_10", 0.05, ["model"])
    setting = replace(SETTING, ranks_nothing=("model",))
    systems = measured(0.5, 1.0), measured(0.25, 0.5)
    difference = differ(setting, "vector", *systems, None, TEXTS)
    assert difference.about[-1].startswith("the model ranks nothing")
    found = json.loads(as_json(difference, setting, row, 0.05))
    assert found["ranks_nothing"] == ["model"]
    assert found["gate"]["passed"] is False


def test_the_object_has_every_figure() -> None:
    difference = compared()
    found = json.loads(as_json(difference, SETTING, difference.rows[0], min_gain=0.5))
    assert list(found) == [
        *("model", "baseline", "dataset", "fingerprint", "mode", "metric", "queries"),
        *("ranks_nothing", "searches", "gate", "worst"),
    ]
    assert (found["model"], found["baseline"], found["queries"]) == ("run:new", "run:old", 2)
    row = found["searches"]["vector"]
    assert (row["no_reranking"], row["baseline"], row["model"]) == (None, 0.375, 0.75)
    assert row["model_interval"] == [0.5, 1.0]
    assert row["difference"].keys() == {"mean", "low", "high", "p_value"}
    assert (row["gain"], row["wins"], row["ties"], row["losses"]) == (1.0, 2, 0, 0)
    assert found["gate"] == {
        "search": "vector",
        "min_gain": 0.5,
        "gain": 1.0,
        "p_value": row["difference"]["p_value"],
        "passed": False,  # two queries can't be more than chance
    }
    assert found["worst"] == [
        {
            "query_id": "a",
            "query": "query a",
            "value": 0.5,
            "baseline": 0.25,
            "relevant_id": "y",
            "relevant": "text y",
            "relevant_rank": 2,
            "ranked_first_id": "x",
            "ranked_first": "text x",
        }
    ]


def test_the_search_alone_is_the_third_system() -> None:
    alone = measured(0.125, 0.125)
    difference = differ(SETTING, "vector", measured(0.5, 1.0), alone, alone, TEXTS)
    assert [row.alone for row in difference.rows] == [0.125, 0.5]
    assert difference.rows[0].a == 0.125


def test_without_a_baseline_what_compares_is_null() -> None:
    setting = replace(SETTING, baseline=None)
    difference = differ(setting, "vector", measured(0.0, 0.0), None, None, TEXTS)
    found = json.loads(as_json(difference, setting, difference.rows[0], min_gain=0.1))
    assert (found["baseline"], found["gate"]) == (None, None)
    row = found["searches"]["vector"]
    assert (row["baseline"], row["difference"], row["gain"]) == (None, None, None)
    assert not any("baseline" in line for line in difference.about)
    # An infinite gain has no number in JSON either.
    zero = differ(SETTING, "vector", measured(0.5, 1.0), measured(0.0, 0.0), None, TEXTS)
    found = json.loads(as_json(zero, SETTING, zero.rows[0], min_gain=0.1))
    assert found["searches"]["vector"]["gain"] is None
