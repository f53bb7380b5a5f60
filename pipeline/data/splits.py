"""Sample queries, keep splits disjoint and limit corpora; shared by all data sets.

Sampling orders ids by the sha256 of ``seed:id``. The order of two ids depends on nothing
else, so a smaller limit gives a subset, and every machine gives the same.
"""

import hashlib
import heapq
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.config.datasets import DatasetConfig
from pipeline.data.corpus import Corpus, CorpusWriter
from pipeline.data.judgments import NeverNegative, never_negative, relevant_ids
from pipeline.data.text import leak_key, text_key
from pipeline.records import InputError, Qrels, QuerySet


class Splits(NamedTuple):
    """Train, dev and test queries, how many rows were dropped for which reason, and the passages
    that are never negatives.

    Of ``given_train`` training queries ``kept_train`` were left when the splits were apart, before
    any limit.
    """

    train: QuerySet
    dev: QuerySet
    test: QuerySet
    dropped: dict[str, int]
    never_negative: NeverNegative
    given_train: int
    kept_train: int


def sample(ids: Iterable[str], limit: int | None, seed: int) -> list[str]:
    """Return up to ``limit`` ids (None: all) in an order that only the seed determines."""

    def order(text_id: str) -> bytes:
        return hashlib.sha256(f"{seed}:{text_id}".encode()).digest()

    if limit is None:
        return sorted(ids, key=order)
    return heapq.nsmallest(limit, ids, key=order)


def query_set(
    ids: Iterable[str],
    queries: Mapping[str, str],
    qrels: Qrels,
    irrelevant: Mapping[str, list[str]] | None = None,
) -> QuerySet:
    """Select the queries ``ids``, in that order, with their judgments."""
    chosen = list(ids)
    negatives = {q: irrelevant[q] for q in chosen if irrelevant.get(q)} if irrelevant else {}
    return QuerySet({q: queries[q] for q in chosen}, {q: qrels[q] for q in chosen}, negatives)


def limited(split: QuerySet, limit: int | None, seed: int) -> QuerySet:
    """Sample up to ``limit`` queries (None: all) with their judgments."""
    chosen = sample(split.queries, limit, seed)
    return query_set(chosen, split.queries, split.qrels, split.irrelevant)


class HeldOut:
    """The query and relevant passage texts of splits that later splits must not repeat.

    Leaks are found by ``leak_key``, which errs on the safe side.
    """

    def __init__(self, corpus: Mapping[str, str], splits: Mapping[str, QuerySet]) -> None:
        self._queries: dict[bytes, str] = {}
        self._passages: dict[bytes, str] = {}
        self._same_passages: dict[bytes, str] = {}
        for name, split in splits.items():
            for text in split.queries.values():
                self._queries.setdefault(leak_key(text), name)
            for doc_id in relevant_ids(split):
                self._passages.setdefault(leak_key(corpus[doc_id]), name)
                self._same_passages.setdefault(text_key(corpus[doc_id]), name)

    def query(self, text: str) -> str | None:
        """Return the name of the first split with this query text, if any."""
        return self._queries.get(leak_key(text))

    def passage(self, text: str) -> str | None:
        """Return the name of the first split for which this text is relevant, if any."""
        return self._passages.get(leak_key(text))

    def same_passage(self, text: str) -> str | None:
        """Return the name of the first split with the very same relevant text, if any.

        As a negative, a text that differs by a symbol is no leak but a hard one.
        """
        return self._same_passages.get(text_key(text))


def without_leaks(
    split: QuerySet,
    name: str,
    corpus: Mapping[str, str],
    earlier: Mapping[str, QuerySet],
    dropped: Counter[str],
    disjoint: str = "passage",
) -> QuerySet:
    """Drop the queries and judgments of ``split`` that occur in the ``earlier`` splits.

    Dropped and counted in ``dropped`` are:

    - queries whose text is in an earlier split (``train_query_in_test``)
    - judgments of irrelevance for a passage that is relevant there (``train_irrelevant_in_test``)
    - if ``disjoint`` is "passage", judgments whose passage text is relevant there
      (``train_passage_in_test``), and queries left without a relevant passage
      (``train_query_left_empty``)

    ``corpus`` holds the passages of all these splits.
    """
    held = HeldOut(corpus, earlier)
    queries: dict[str, str] = {}
    qrels: Qrels = {}
    irrelevant: dict[str, list[str]] = {}
    for query_id, text in split.queries.items():
        if (holder := held.query(text)) is not None:
            dropped[f"{name}_query_in_{holder}"] += 1
            continue
        docs: dict[str, int] = {}
        for doc_id, gain in split.qrels[query_id].items():
            holder = held.passage(corpus[doc_id]) if disjoint == "passage" else None
            if holder is not None:
                dropped[f"{name}_passage_in_{holder}"] += 1
            else:
                docs[doc_id] = gain
        if not docs:
            dropped[f"{name}_query_left_empty"] += 1
            continue
        queries[query_id], qrels[query_id] = text, docs
        for doc_id in split.irrelevant.get(query_id, ()):
            if (holder := held.same_passage(corpus[doc_id])) is not None:
                dropped[f"{name}_irrelevant_in_{holder}"] += 1
            else:
                irrelevant.setdefault(query_id, []).append(doc_id)
    return QuerySet(queries, qrels, irrelevant)


def within_limits(
    whole: Mapping[str, QuerySet],
    given: Mapping[str, QuerySet],
    config: DatasetConfig,
    corpus: Mapping[str, str],
    dropped: Mapping[str, int],
    given_train: int,
) -> Splits:
    """Cut train, dev and test of ``whole``, which share nothing, to the limits of ``config``.

    ``given`` are the splits of the source before any judgment was dropped, ``corpus`` holds their
    passages, and ``given_train`` is how many of their queries were meant for training.
    """
    train = limited(whole["train"], config.max_train_queries, config.seed)
    held_out = [part[name] for part in (given, whole) for name in ("dev", "test") if name in part]
    return Splits(
        train=train,
        dev=limited(whole["dev"], config.max_dev_queries, config.seed),
        test=limited(whole["test"], config.max_eval_queries, config.seed),
        dropped={reason: count for reason, count in dropped.items() if count},
        never_negative=never_negative(train, held_out, given.values(), corpus),
        given_train=given_train,
        kept_train=len(whole["train"]),
    )


def limit_corpus(
    full: Path, folder: Path, max_corpus: int | None, seed: int, splits: Sequence[QuerySet]
) -> Corpus:
    """Move the corpus ``full`` to ``folder``, cut to ``max_corpus`` passages.

    The passages relevant to ``splits`` are kept first, then a sample of those judged
    irrelevant, then a sample of the others. The order of the passages stays.

    Raises:
        InputError: the relevant passages alone are more than ``max_corpus``.
    """
    corpus = Corpus(full)
    if max_corpus is None or max_corpus >= len(corpus):
        full.rename(folder)
        return Corpus(folder)
    relevant = relevant_ids(*splits)
    if len(relevant) > max_corpus:
        raise InputError(
            f"dataset.max_corpus={max_corpus}: the chosen queries have {len(relevant)} relevant "
            f"passages; give at least that many, or lower dataset.max_train_queries, "
            f"dataset.max_dev_queries or dataset.max_eval_queries"
        )
    judged = {d for split in splits for docs in split.irrelevant.values() for d in docs}
    chosen = relevant.union(sample(judged - relevant, max_corpus - len(relevant), seed))
    others = (doc_id for doc_id in corpus if doc_id not in chosen)
    chosen.update(sample(others, max_corpus - len(chosen), seed))
    with CorpusWriter(folder) as writer:
        for doc_id, text in corpus.items():
            if doc_id in chosen:
                writer.add(doc_id, text)
    shutil.rmtree(full)
    return Corpus(folder)
