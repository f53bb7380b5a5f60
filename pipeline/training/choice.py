"""Choose the negatives of training queries from judged, mined and random passages.

Passages that were judged irrelevant to a query come first, then those that the miner ranks, then
those drawn from the whole corpus, mixed in at even distances. Each text is a negative of a query
once.
"""

import hashlib
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from math import ceil

import pyarrow as pa

from pipeline.config.training import MiningConfig
from pipeline.data.text import text_key
from pipeline.protocols import Scorer
from pipeline.records import Dataset
from pipeline.training.passage_scores import score_passages

TRIES = 20  # passages drawn per negative, because some of them are no negatives


class Chooser:
    """Chooses the negatives of one chunk of queries after another.

    ``filter_by`` scores the mined passages and the relevant ones. A mined passage that it puts
    above the relevant passage with the lowest score is no negative. None: each may be one.
    """

    def __init__(
        self, dataset: Dataset, config: MiningConfig, seed: int, filter_by: Scorer | None
    ) -> None:
        self._dataset = dataset
        self._config = config
        self._seed = seed
        self._filter_by = filter_by
        ids = iter(dataset.train_corpus) if config.random_share else ()
        self._ids = pa.array(ids, pa.string())  # a tenth of the memory of a list

    def choose(self, ranked: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
        """Return up to ``config.depth`` negatives per query id, from its ranked passages.

        ``mining.random_share`` of every first n, rounded, is drawn from the whole corpus.
        """
        queries = {query_id: _Query(query_id, self._dataset, self._seed) for query_id in ranked}
        wanted = self._config.depth - self._drawn(self._config.depth)
        judged = {name: list(islice(query.judged(), wanted)) for name, query in queries.items()}
        mined = {
            name: query.mined(ranked[name], self._config.sampling)
            for name, query in queries.items()
        }
        missing = {name: wanted - len(of_query) for name, of_query in judged.items()}
        if self._filter_by is None:
            best = {name: list(islice(mined[name], count)) for name, count in missing.items()}
        else:
            best = self._passing(self._filter_by, mined, missing)
        tries = TRIES * self._config.depth
        return {
            name: self._mixed([*judged[name], *best[name]], query.drawn(self._ids, tries))
            for name, query in queries.items()
        }

    def _passing(
        self, scorer: Scorer, mined: Mapping[str, Iterator[str]], missing: Mapping[str, int]
    ) -> dict[str, list[str]]:
        """The first ``missing`` mined passages per query that score no more than the positives.

        All queries are scored together, in as many rounds as the strictest of them needs.
        """
        qrels = self._dataset.train.qrels
        relevant = score_passages(scorer, self._dataset, {name: qrels[name] for name in mined})
        ceilings = {name: min(scores.values()) for name, scores in relevant.items()}
        passing: dict[str, list[str]] = {name: [] for name in mined}
        unfilled = {name for name, count in missing.items() if count}
        while unfilled:
            asked = {name: list(islice(mined[name], missing[name])) for name in sorted(unfilled)}
            for name, scores in score_passages(scorer, self._dataset, asked).items():
                passing[name] += [doc for doc, score in scores.items() if score <= ceilings[name]]
                if not scores or len(passing[name]) >= missing[name]:
                    unfilled.remove(name)
        return {name: of_query[: missing[name]] for name, of_query in passing.items()}

    def _mixed(self, hard: Iterable[str], drawn: Iterator[str]) -> tuple[str, ...]:
        """Mix the two evenly; shorter if one of them has too few."""
        hard = iter(hard)
        turns = (
            drawn if self._drawn(n) < self._drawn(n + 1) else hard
            for n in range(self._config.depth)
        )
        return tuple(doc_id for turn in turns for doc_id in islice(turn, 1))

    def _drawn(self, negatives: int) -> int:
        """How many of the first ``negatives`` are drawn from the corpus, halves rounded down."""
        return ceil(self._config.random_share * negatives - 0.5)


class _Query:
    """The passages that may be negatives of one query, from each source in its order."""

    def __init__(self, query_id: str, dataset: Dataset, seed: int) -> None:
        self._query_id = query_id
        self._dataset = dataset
        self._rng = random.Random(hashlib.sha256(f"{seed}:{query_id}".encode()).digest())
        relevant = dataset.train.qrels[query_id]
        self._taken = {text_key(dataset.train_corpus[doc_id]) for doc_id in relevant}
        self._taken |= dataset.also_relevant.get(query_id, frozenset())

    def judged(self) -> Iterator[str]:
        """Yield what was judged irrelevant."""
        known = list(self._dataset.train.irrelevant.get(self._query_id, ()))
        self._rng.shuffle(known)
        return self._allowed(known)

    def mined(self, ranked: Sequence[str], sampling: str) -> Iterator[str]:
        """Yield what the miner ranks, in its order or "random"."""
        order = list(ranked)
        if sampling == "random":
            self._rng.shuffle(order)
        # Of the query's own text a person may have said that it is irrelevant, a search can't.
        self._taken.add(text_key(self._dataset.train.queries[self._query_id]))
        return self._allowed(order)

    def drawn(self, ids: pa.StringArray, tries: int) -> Iterator[str]:
        """Yield those of ``tries`` passages drawn from all ``ids``."""
        places = self._rng.sample(range(len(ids)), min(len(ids), tries))
        return self._allowed(ids[place].as_py() for place in places)

    def _allowed(self, doc_ids: Iterable[str]) -> Iterator[str]:
        for doc_id in doc_ids:
            key = text_key(self._dataset.train_corpus[doc_id])
            held_out = key in self._dataset.held_out
            if doc_id != self._query_id and key not in self._taken and not held_out:
                self._taken.add(key)
                yield doc_id
