"""Find the passages that are queries themselves, as in ArguAna and Quora."""

from collections.abc import Mapping

from pipeline.data.text import words
from pipeline.records import QuerySet


def own_documents(queries: QuerySet, corpus: Mapping[str, str]) -> dict[str, str]:
    """Return query id -> the id of the passage that is the query itself; others are not in it.

    Such a passage has the query's id and its words, perhaps after a title, and is not judged
    relevant to it. A search finds it first, but it answers nothing, so BEIR leaves it out. The
    words count as well, because queries and passages may be numbered independently.
    """
    return {
        query_id: query_id
        for query_id, text in queries.queries.items()
        if query_id in corpus
        and query_id not in queries.qrels[query_id]
        and _ends_with(words(corpus[query_id]), words(text))
    }


def _ends_with(passage: list[str], query: list[str]) -> bool:
    return passage[-len(query) :] == query
