"""Collect what the data call relevant, in any split, so that it is never taken for a negative.

Splits are limited, and lose judgments to keep them apart. A judgment that is left out is still
true: its passage must not be mined as a negative. Texts are compared by ``text_key``.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from pipeline.data.text import leak_key, text_key
from pipeline.records import QuerySet

Judgments = Iterable[tuple[str, Iterable[str]]]
"""Query text and the ids of its relevant passages."""


class NeverNegative(NamedTuple):
    """The text keys of passages that training must not take for irrelevant.

    ``held_out`` holds those relevant to a dev or test query, whether sampled or not.
    ``also_relevant`` maps a training query id to those that the data call relevant to its text
    beyond the query's own judgments: left out, under another id, or in another split.
    """

    held_out: frozenset[bytes]
    also_relevant: dict[str, frozenset[bytes]]


def never_negative(
    train: QuerySet,
    held_out: Iterable[QuerySet],
    given: Iterable[QuerySet],
    corpus: Mapping[str, str],
) -> NeverNegative:
    """Collect the keys for the final training queries ``train``.

    ``held_out`` are the dev and test splits before any limit, ``given`` all splits before a
    judgment was dropped. ``corpus`` holds the passages of all of them.
    """
    return NeverNegative(
        passage_keys(held_out, corpus),
        also_relevant(train, (judged for split in given for judged in judgments(split)), corpus),
    )


def passage_keys(splits: Iterable[QuerySet], corpus: Mapping[str, str]) -> frozenset[bytes]:
    """Return the text keys of all passages that are relevant to a query of these splits."""
    return frozenset(text_key(corpus[doc_id]) for doc_id in relevant_ids(*splits))


def relevant_ids(*splits: QuerySet) -> set[str]:
    """Collect the ids of all documents that are relevant to a query of these splits."""
    return {doc_id for split in splits for docs in split.qrels.values() for doc_id in docs}


def judgments(split: QuerySet) -> Iterator[tuple[str, Iterable[str]]]:
    """Yield the text of every query and the ids of its relevant passages."""
    return ((text, split.qrels[query_id]) for query_id, text in split.queries.items())


def also_relevant(
    train: QuerySet, judged: Judgments, corpus: Mapping[str, str]
) -> dict[str, frozenset[bytes]]:
    """Map training query id -> text keys that ``judged`` adds to the query's own judgments.

    Only queries with an addition are listed.
    """
    ids: dict[bytes, list[str]] = {}
    for query_id, text in train.queries.items():
        ids.setdefault(text_key(text), []).append(query_id)
    found: dict[str, set[bytes]] = {}
    for text, doc_ids in judged:
        for query_id in ids.get(text_key(text), ()):
            added = [doc_id for doc_id in doc_ids if doc_id not in train.qrels[query_id]]
            if added:
                keys = (text_key(corpus[doc_id]) for doc_id in added)
                found.setdefault(query_id, set()).update(keys)
    return {query_id: frozenset(keys) for query_id, keys in found.items()}


def queries_with_trained_passage(
    test: QuerySet, train: QuerySet, corpus: Mapping[str, str], train_corpus: Mapping[str, str]
) -> list[str]:
    """List the test queries with a relevant passage that is relevant to a training query too.

    A leak may hide behind a symbol, so passages are compared by ``leak_key``.
    """
    asked: dict[bytes, list[str]] = {}
    for query_id, docs in test.qrels.items():
        for doc_id in docs:
            asked.setdefault(leak_key(corpus[doc_id]), []).append(query_id)
    trained = relevant_ids(train)
    found: set[str] = set()
    # In the order of the corpus: looking up most of a large one takes three times as long.
    for doc_id, passage in train_corpus.items():
        if doc_id in trained:
            found.update(asked.get(leak_key(passage), ()))
    return [query_id for query_id in test.queries if query_id in found]
