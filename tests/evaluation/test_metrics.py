"""Metrics against tables that a person can check by hand."""

from math import isnan, log2
from pathlib import Path

import ir_measures
import pytest

from pipeline.evaluation.metrics import means, measure, write_qrels, write_run
from pipeline.records import Hit, Qrels, Ranking


def ranked(*doc_ids: str, value: float = 1.0) -> list[Hit]:
    """Hits in this order, all with the same score."""
    return [Hit(doc_id, value) for doc_id in doc_ids]


# query: relevant documents with gains, ranking, then ndcg, hit rate, mrr, recall at 3
TABLE = [
    ("first", {"a": 1}, "abc", 1.0, 1, 1.0, 1.0),
    ("second", {"b": 1}, "abc", 1 / log2(3), 1, 1 / 2, 1.0),
    ("third", {"c": 1}, "abc", 1 / log2(4), 1, 1 / 3, 1.0),
    ("below the cutoff", {"d": 1}, "abcd", 0.0, 0, 0.0, 0.0),
    ("not found", {"z": 1}, "abc", 0.0, 0, 0.0, 0.0),
    ("one of two", {"a": 1, "z": 1}, "abc", 1 / (1 + 1 / log2(3)), 1, 1.0, 0.5),
    ("graded, best first", {"a": 3, "b": 1}, "abc", 1.0, 1, 1.0, 1.0),
    (
        "graded, worst first",
        {"a": 1, "b": 3},
        "abc",
        (1 + 3 / log2(3)) / (3 + 1 / log2(3)),  # linear gains, not 2^gain - 1
        1,
        1.0,
        1.0,
    ),
    ("more relevant than the cutoff", dict.fromkeys("abcd", 1), "abc", 1.0, 1, 1.0, 0.75),
    ("shorter than the cutoff", {"b": 1}, "ab", 1 / log2(3), 1, 1 / 2, 1.0),
    ("empty", {"a": 1}, "", 0.0, 0, 0.0, 0.0),
]


@pytest.mark.parametrize(
    ("gains", "order", "ndcg", "hit_rate", "mrr", "recall"),
    [row[1:] for row in TABLE],
    ids=[r[0] for r in TABLE],
)
def test_golden_table(
    gains: dict[str, int], order: str, ndcg: float, hit_rate: float, mrr: float, recall: float
) -> None:
    result = measure({"q": ranked(*order)}, {"q": gains}, k=3)
    assert {name: values["q"] for name, values in result.items()} == pytest.approx(
        {"ndcg_at_3": ndcg, "hit_rate_at_3": hit_rate, "mrr_at_3": mrr, "recall_at_3": recall}
    )


def test_a_query_missing_from_the_ranking_scores_zero_and_stays_in_the_mean() -> None:
    result = measure({"q1": ranked("a")}, {"q1": {"a": 1}, "q2": {"a": 1}}, k=5)
    assert result["hit_rate_at_5"] == {"q1": 1.0, "q2": 0.0}
    assert set(means(result).values()) == {0.5}


def test_a_query_without_judgments_is_ignored() -> None:
    result = measure({"q": ranked("a"), "extra": ranked("a")}, {"q": {"a": 1}}, k=1)
    assert all(set(values) == {"q"} for values in result.values())


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
@pytest.mark.parametrize("values", [(1.0, 1.0), (0.0, 5.0)])
def test_the_order_of_the_list_is_authoritative(
    order: tuple[str, str], values: tuple[float, float]
) -> None:
    ranking = {"q": [Hit(doc_id, value) for doc_id, value in zip(order, values, strict=True)]}
    result = measure(ranking, {"q": {"a": 1}}, k=1)
    assert result["hit_rate_at_1"]["q"] == (1.0 if order[0] == "a" else 0.0)
    assert result["mrr_at_1"]["q"] == (1.0 if order[0] == "a" else 0.0)


def test_some_metrics_can_be_had_alone() -> None:
    ranking, qrels = {"q": ranked("a", "b")}, {"q": {"b": 1}}
    found = measure(ranking, qrels, 2, ("mrr", "recall"))
    assert found == {"mrr_at_2": {"q": 0.5}, "recall_at_2": {"q": 1.0}}


def test_deep_rankings_keep_their_order() -> None:
    ids = [f"d{9999 - i}" for i in range(5000)]
    result = measure({"q": ranked(*ids)}, {"q": {ids[4998]: 1}}, k=4999)
    assert result["mrr_at_4999"]["q"] == pytest.approx(1 / 4999)
    assert result["ndcg_at_4999"]["q"] == pytest.approx(1 / log2(5000))


def test_nothing_to_score() -> None:
    assert measure({"q": ranked("a")}, {}, k=1)["ndcg_at_1"] == {}
    assert measure({}, {"q": {"a": 1}}, k=1)["ndcg_at_1"] == {"q": 0.0}


def test_refuses_a_repeated_document_and_a_senseless_cutoff() -> None:
    with pytest.raises(ValueError, match="twice"):
        measure({"q": ranked("a", "a")}, {"q": {"a": 1}}, k=1)
    with pytest.raises(ValueError, match="k=0"):
        measure({}, {}, k=0)


def test_means_of_nothing_is_nan() -> None:
    assert isnan(means({"ndcg_at_5": {}})["ndcg_at_5"])


def test_written_files_give_the_same_values(tmp_path: Path) -> None:
    ranking: Ranking = {
        "q 1": ranked("d1", "d 2", "d%202", "d4"),
        "q2": ranked("b", "a", "c"),
        "q3": ranked("x"),
        "é\u00a0": ranked("a\tb", "ü"),
    }
    qrels: Qrels = {
        "q 1": {"d%202": 2, "d 2": 1},
        "q2": {"a": 1},
        "q3": {"y": 1},
        "é\u00a0": {"ü": 4},
        "q4": {"a": 1},
    }
    write_run(tmp_path / "run.trec", ranking, tag="vector")
    write_qrels(tmp_path / "qrels.trec", qrels)
    ours = means(measure(ranking, qrels, k=2))
    theirs = ir_measures.calc_aggregate(
        [ir_measures.parse_measure(name) for name in ("nDCG@2", "Success@2", "RR@2", "R@2")],
        ir_measures.read_trec_qrels(str(tmp_path / "qrels.trec")),
        ir_measures.read_trec_run(str(tmp_path / "run.trec")),
    )
    assert list(ours.values()) == [
        theirs[ir_measures.parse_measure(name)] for name in ("nDCG@2", "Success@2", "RR@2", "R@2")
    ]
    assert 0 < ours["ndcg_at_2"] < 1


def test_a_tag_is_one_column(tmp_path: Path) -> None:
    write_run(tmp_path / "run.trec", {"q": ranked("a")}, tag="a b:c 5%/vector")
    assert (tmp_path / "run.trec").read_text() == "q Q0 a 1 1.0 a%20b:c%205%25/vector\n"


def test_a_run_file_orders_ties_as_we_do(tmp_path: Path) -> None:
    write_run(tmp_path / "run.trec", {"q": ranked("a", "b")}, tag="t")  # trec_eval: b before a
    lines = (tmp_path / "run.trec").read_text().splitlines()
    assert lines == ["q Q0 a 1 1.0 t", "q Q0 b 2 0.5 t"]
