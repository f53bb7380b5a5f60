"""What models are to order in mode rerank, and what a real one makes of it."""

from collections.abc import Callable
from dataclasses import replace
from statistics import fmean

import pytest

from pipeline.experiment.head_to_head import LABELLED, labelled_task, measure, searches_alone
from pipeline.experiment.shared import Shared
from pipeline.infra.hardware import Hardware
from pipeline.records import Dataset, InputError, QuerySet
from pipeline.rerankers.saved import load_saved
from pipeline.retrieval.ties import tie_key
from tests.conftest import Trained
from tests.scorers import Constant

QUERIES = {q: f"text of {q}" for q in ("a", "b", "c", "d")}
CORPUS = {f"{q}{i}": f"passage {i} of {q}" for q in QUERIES for i in range(3)}
QRELS = {q: {f"{q}1": 1, f"{q}2": 2} for q in QUERIES}


def dataset(irrelevant: dict[str, list[str]]) -> Dataset:
    none = QuerySet({}, {})
    test = QuerySet(QUERIES, QRELS, irrelevant)
    return Dataset("tiny", "f" * 64, CORPUS, CORPUS, none, none, test)


def test_labelled_passages_are_ranked_where_labels_differ() -> None:
    task = labelled_task(dataset({"a": ["a0", "b0"]}), 10)
    found = {q: [hit.doc_id for hit in hits] for q, hits in task.candidates[LABELLED].items()}
    assert {q: sorted(documents) for q, documents in found.items()} == {
        "a": ["a0", "a1", "a2", "b0"],
        **{q: [f"{q}1", f"{q}2"] for q in "bcd"},
    }
    assert found["a"] == sorted(found["a"], key=lambda document: tie_key(CORPUS[document]))
    binary = {q: {f"{q}1": 1} for q in QUERIES}
    only = replace(dataset({}), test=QuerySet(QUERIES, binary, {"b": ["b0"]}))
    assert list(labelled_task(only, 10).queries) == ["b"]
    with pytest.raises(InputError, match="mode=rerank: no test query of tiny"):
        labelled_task(replace(only, test=QuerySet(QUERIES, binary)), 10)


@pytest.mark.parametrize("relevant", [0, 7])
def test_a_model_that_ranks_nothing_gains_nothing_from_ids_or_labels(relevant: int) -> None:
    """Eight passages a query, of which the one with the first, or the last, id is relevant."""
    queries = {f"q{n:03}": f"query {n}" for n in range(400)}
    corpus = {f"{q}-{i}": f"passage {i} of {q}" for q in queries for i in range(8)}
    gains = {q: {f"{q}-{relevant}": 1} for q in queries}
    others = {q: [f"{q}-{i}" for i in range(8) if i != relevant] for q in queries}
    none, test = QuerySet({}, {}), QuerySet(queries, gains, others)
    task = labelled_task(Dataset("ties", "f" * 64, corpus, corpus, none, none, test), 1)
    measured = measure(task, "ndcg_at_1", Constant())[LABELLED]
    assert measured.ranks_nothing
    # One in eight comes first by chance: 0.125, and 400 queries have a standard error of 0.0165.
    assert fmean(measured.values.values()) == pytest.approx(0.125, abs=0.05)


@pytest.mark.slow
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
