"""Define the typed values that the steps hand to each other.

Documents and queries are known by their ids, never by their texts. Nothing here imports a
heavy library, so every layer can use it.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import NamedTuple

SEARCHES = ("vector", "fts", "hybrid")
"""The three ways to search, in the order in which every table shows them."""

START_KEPT = "start_kept"
"""The group of a run whose training was undone, so that it has the weights that it started from."""

Qrels = dict[str, dict[str, int]]
"""Graded judgments: query id -> document id -> gain (an integer > 0)."""


class Hit(NamedTuple):
    """One retrieved document and its score (higher is better)."""

    doc_id: str
    score: float


Ranking = dict[str, list[Hit]]
"""Query id -> hits, best first."""

PairScores = Mapping[str, Mapping[str, float]]
"""Query id -> document id -> the reranker's score."""


class InputError(Exception):
    """A mistake in the input: shown as one line, exit code 2, no traceback."""


class Refused(Exception):
    """A requested gate did not pass: shown as one line, exit code 1, no traceback."""


@dataclass(frozen=True)
class QuerySet:
    """The queries of one split with their relevant documents.

    ``queries`` maps query id -> text and ``qrels`` has exactly the same keys, each with at
    least one document of the corpus. ``irrelevant`` maps a query id to the documents judged
    irrelevant, if there are any.
    """

    queries: dict[str, str]
    qrels: Qrels
    irrelevant: dict[str, list[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.queries)


@dataclass(frozen=True)
class Dataset:
    """A corpus with train, dev and test queries.

    ``corpus`` is indexed and searched. Negatives are mined from ``train_corpus``, which is the
    same object unless the data set keeps its training passages apart (GooAQ).
    No query text occurs in two splits (compared by ``leak_key`` of ``pipeline.data.text``), and
    no relevant passage text either if the split was drawn or ``dataset.disjoint=passage``.
    ``dropped`` counts the rows left out, by reason. Of ``given_train`` training queries
    ``kept_train`` were left when the splits were apart, before any limit.
    ``fingerprint`` is a sha256 over all ids, texts and judgments, ``corpus_fingerprint`` and
    ``train_corpus_fingerprint`` over the ids and texts of one corpus.

    Passages that are never negatives, as text keys (``text_key(text)`` of
    ``pipeline.data.text``): those in ``held_out`` for no query, because they are relevant to a
    dev or test query of the source, sampled or not; those in ``also_relevant[query id]`` not for
    that training query, because the source calls them relevant to its text in a judgment that is
    not in ``train.qrels`` (left out, under another id, or in another split).
    ``trained_passage`` holds the ids of the test queries of which a relevant passage is also
    relevant to a training query, by text.
    """

    name: str
    fingerprint: str
    corpus: Mapping[str, str]
    train_corpus: Mapping[str, str]
    train: QuerySet
    dev: QuerySet
    test: QuerySet
    dropped: dict[str, int] = field(default_factory=dict)
    corpus_fingerprint: str = ""
    train_corpus_fingerprint: str = ""
    held_out: AbstractSet[bytes] = frozenset()
    also_relevant: Mapping[str, AbstractSet[bytes]] = field(default_factory=dict)
    trained_passage: AbstractSet[str] = frozenset()
    given_train: int = 0
    kept_train: int = 0

    @property
    def searched(self) -> Mapping[str, str]:
        """The queries that candidates are found for, by id: those of dev and test."""
        return self.dev.queries | self.test.queries


class TrainingRow(NamedTuple):
    """One query with one relevant passage and its ranked hard negatives, as ids."""

    query_id: str
    positive_id: str
    negative_ids: tuple[str, ...]


class TrainingExample(NamedTuple):
    """One query with one relevant passage and its negatives, as texts.

    ``gain`` is that of the passage, 1 or more, and ``label`` the gain over the largest gain of
    the training queries, 0 < label <= 1. ``relevant`` are the text keys of all passages that are
    relevant to the query, and ``query_id`` tells queries of the same text apart. ``held_out``
    says that the relevant passage is a negative of no query, as it is relevant to a dev or test
    query, too. ``teacher`` holds another model's scores of the relevant passage and of every
    negative, in that order; empty where nothing is distilled.
    """

    query: str
    positive: str
    gain: int
    label: float
    negatives: list[str]
    relevant: tuple[bytes, ...] = ()
    held_out: bool = False
    teacher: Sequence[float] = ()
    query_id: str = ""


def sort_hits(hits: Iterable[Hit]) -> list[Hit]:
    """Sort best first; equal scores keep their order, so give hits in the order of the search."""
    return sorted(hits, key=lambda hit: -hit.score)
