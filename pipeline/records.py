"""The typed values that travel between stages.

Documents and queries are known by their ids; a text is never an identity. Nothing here
imports a heavy library, so every layer can use it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

SEARCHES = ("vector", "fts", "hybrid")
"""The three ways to search, in the order in which every table shows them."""

FIRST_STAGE = (
    "embedder.path",
    "embedder.max_length",
    "embedder.query_prefix",
    "embedder.passage_prefix",
    "index.vector_index_above",
    "eval.rrf_k",
)
"""Params on which runs on the same data must agree to have started from the same search."""

Qrels = dict[str, dict[str, int]]
"""Graded judgments: query id -> document id -> gain (an integer > 0)."""


class Hit(NamedTuple):
    """One retrieved document with the score of whoever ranked it (higher is better)."""

    doc_id: str
    score: float


Ranking = dict[str, list[Hit]]
"""Query id -> hits, best first, ties broken by document id."""


class InputError(Exception):
    """The user's own mistake: shown as one line, exit code 2, no traceback."""


class Refused(Exception):
    """A gate that was asked for says no: shown as one line, exit code 1, no traceback."""


@dataclass(frozen=True)
class QuerySet:
    """The queries of one split with their relevant documents.

    ``queries`` maps query id -> text and ``qrels`` has exactly the same keys, each with at
    least one document of the corpus. ``irrelevant`` maps a query id to documents that
    somebody judged irrelevant, if there are any.
    """

    queries: dict[str, str]
    qrels: Qrels
    irrelevant: dict[str, list[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.queries)


@dataclass(frozen=True)
class Dataset:
    """A corpus with train, dev and test queries.

    ``corpus`` is what is indexed and searched. ``train_corpus`` is what negatives are mined
    from: the same object, unless the data set keeps its training passages apart (GooAQ).
    No query text and no relevant passage text occurs in two splits (compared after
    normalisation); ``dropped`` says how many rows went for which reason.
    ``fingerprint`` is a sha256 over all ids, texts and judgments.
    """

    name: str
    fingerprint: str
    corpus: Mapping[str, str]
    train_corpus: Mapping[str, str]
    train: QuerySet
    dev: QuerySet
    test: QuerySet
    dropped: dict[str, int] = field(default_factory=dict)


class TrainingRow(NamedTuple):
    """One query with one relevant passage and its ranked hard negatives, as ids."""

    query_id: str
    positive_id: str
    negative_ids: tuple[str, ...]


class TrainingExample(NamedTuple):
    """One query with one relevant passage and its negatives, as texts.

    ``label`` is the passage's gain over the largest gain of the data set, 0 < label <= 1.
    ``teacher`` holds another model's scores of the relevant passage and of every negative, in
    that order; empty where nothing is distilled.
    """

    query: str
    positive: str
    label: float
    negatives: list[str]
    teacher: Sequence[float] = ()


def sort_hits(hits: Iterable[Hit]) -> list[Hit]:
    """Best first; equal scores by document id, so that a result repeats exactly."""
    return sorted(hits, key=lambda hit: (-hit.score, hit.doc_id))
