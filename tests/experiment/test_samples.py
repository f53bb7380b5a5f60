"""The texts of a record: of the queries that changed most, with the first of each order."""

import pytest

from pipeline.evaluation.quality import Evaluation
from pipeline.experiment import samples
from pipeline.records import Dataset, Hit, QuerySet

CORPUS = {"a": "text a", "b": "text b", "long": "x" * 501, "fits": "y" * 500}
TEST = QuerySet(
    {"little": "q little", "lost": "q lost", "won": "q won"},
    {"little": {"a": 1}, "lost": {"a": 1}, "won": {"long": 2, "fits": 1}},
)
NONE = QuerySet({}, {})


def evaluation() -> Evaluation:
    """Reranking loses 0.5 on one query, fusion wins 0.75 on another; both win less elsewhere."""
    found = Evaluation()
    before = {"little": 0.5, "lost": 1.0, "won": 0.25}
    found.per_query["vector"] = {"ndcg_at_2": before}
    found.per_query["vector_reranked"] = {
        "ndcg_at_2": before | {"lost": 0.5, "little": 0.75, "won": 0.5}
    }
    found.per_query["vector_fused"] = {"ndcg_at_2": before | {"little": 0.625, "won": 1.0}}
    first = {"vector": "b", "vector_reranked": "a", "vector_fused": "b"}
    for column, document in first.items():
        for k in (1, 2):
            hits = [Hit(document if k == 2 else "fits", 1.0)]
            found.rankings[column, k] = {query: hits for query in TEST.queries if query != "won"}
            found.rankings[column, k]["won"] = []
    return found


def test_the_queries_that_changed_most_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "QUERIES", 2)
    dataset = Dataset("d", "f", CORPUS, CORPUS, NONE, NONE, TEST)
    assert [tuple(text) for text in samples.sample(dataset, evaluation())] == [
        ("won", "q won", "relevant", "long", "x" * 499 + "…"),
        ("won", "q won", "relevant", "fits", "y" * 500),
        ("lost", "q lost", "relevant", "a", "text a"),
        ("lost", "q lost", "vector", "b", "text b"),
        ("lost", "q lost", "vector_reranked", "a", "text a"),
    ]
