"""Queries that are passages of the corpus, as in ArguAna and Quora."""

from pipeline.data.own_documents import own_documents
from pipeline.records import QuerySet

CORPUS = {
    "q1": "Title. How do I tighten the nozzle?",
    "q2": "how do i clean the nozzle",
    "q3": "how do I oil the nozzle?",
    "7": "a passage that has the number of a query by chance",
    "8": "I trust nobody",
    "d1": "Turn it clockwise.",
}
QUERIES = {
    "q1": "How do I tighten the nozzle?",
    "q2": "How do I clean the nozzle?",
    "q3": "how do I oil the nozzle?",
    "7": "how do I paint the nozzle?",
    "8": "rust",
    "q9": "Turn it clockwise.",
}


def test_a_passage_of_the_same_id_and_text_is_the_query_itself() -> None:
    gains = {query_id: {"d1": 1} for query_id in QUERIES} | {"q3": {"q3": 1}}
    assert own_documents(QuerySet(QUERIES, gains), CORPUS) == {"q1": "q1", "q2": "q2"}
