"""Choose the negatives of training queries from judged, mined and random passages.

Passages that were judged irrelevant to a query come first, then those that the miner ranks, then
those drawn from the whole corpus, mixed in at even distances. Each text is a negative of a query
once.
"""

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from math import ceil

import pyarrow as pa

from pipeline.config.training import MiningConfig
from pipeline.data.text import text_key
from pipeline.protocols import Scorer
from pipeline.records import Dataset
from pipeline.training.passage_scores import score_passages

TRIES = 20  # passages drawn per negative, because some of them are no negatives
JUDGED, MINED, DRAWN = "judged", "mined", "drawn"  # the sources of a query's negatives


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
        queries = {
            query_id: _Query(query_id, self._dataset, self._config, self._seed, of_query, self._ids)
            for query_id, of_query in ranked.items()
        }
        drawn = self._drawn(self._config.depth)
        wanted = self._config.depth - drawn
        judged = {name: query.take(JUDGED, wanted) for name, query in queries.items()}
        missing = {name: wanted - len(of_query) for name, of_query in judged.items()}
        if self._filter_by is None:
            best = {name: query.take(MINED, missing[name]) for name, query in queries.items()}
        else:
            best = self._passing(self._filter_by, queries, missing)
        return {
            name: self._mixed([*judged[name], *best[name]], query.take(DRAWN, drawn))
            for name, query in queries.items()
        }

    def _passing(
        self, scorer: Scorer, queries: Mapping[str, "_Query"], missing: Mapping[str, int]
    ) -> dict[str, list[str]]:
        """The first ``missing`` mined passages per query that score no more than the positives.

        All queries are scored together, in as many rounds as the strictest of them needs.
        """
        qrels = self._dataset.train.qrels
        relevant = score_passages(scorer, self._dataset, {name: qrels[name] for name in queries})
        ceilings = {name: min(scores.values()) for name, scores in relevant.items()}
        passing: dict[str, list[str]] = {name: [] for name in queries}
        unfilled = {name for name, count in missing.items() if count}
        while unfilled:
            asked = {name: queries[name].take(MINED, missing[name]) for name in sorted(unfilled)}
            for name, scores in score_passages(scorer, self._dataset, asked).items():
                passing[name] += [doc for doc, score in scores.items() if score <= ceilings[name]]
                if not scores or len(passing[name]) >= missing[name]:
                    unfilled.remove(name)
        return {name: of_query[: missing[name]] for name, of_query in passing.items()}

    def _mixed(self, hard: Sequence[str], drawn: Sequence[str]) -> tuple[str, ...]:
        """Mix the two evenly; shorter if one of them has too few."""
        mixed: list[str] = []
        for n in range(self._config.depth):
            before, after = self._drawn(n), self._drawn(n + 1)
            source, place = (drawn, before) if before < after else (hard, n - before)
            mixed += source[place : place + 1]
        return tuple(mixed)

    def _drawn(self, negatives: int) -> int:
        """How many of the first ``negatives`` are drawn from the corpus, halves rounded down."""
        return ceil(self._config.random_share * negatives - 0.5)


class _Query:
    """The passages that may be negatives of one query, from each source in its order.

    Each text is taken once, from the source that is first asked for it.
    """

    def __init__(
        self,
        query_id: str,
        dataset: Dataset,
        config: MiningConfig,
        seed: int,
        ranked: Sequence[str],
        ids: pa.StringArray,
    ) -> None:
        self._query_id = query_id
        self._dataset = dataset
        self._own_key = text_key(dataset.train.queries[query_id])
        relevant = dataset.train.qrels[query_id]
        self._taken = {text_key(dataset.train_corpus[doc_id]) for doc_id in relevant}
        self._taken |= dataset.also_relevant.get(query_id, frozenset())
        # What a seed gives depends on the order of these draws.
        rng = random.Random(hashlib.sha256(f"{seed}:{query_id}".encode()).digest())
        judged = list(dataset.train.irrelevant.get(query_id, ()))
        rng.shuffle(judged)
        mined = list(ranked)
        if config.sampling == "random":
            rng.shuffle(mined)
        tries = TRIES * config.depth if config.random_share else 0
        places = rng.sample(range(len(ids)), min(len(ids), tries))
        self._sources: dict[str, Iterator[str]] = {
            JUDGED: iter(judged),
            MINED: iter(mined),
            DRAWN: (ids[place].as_py() for place in places),
        }

    def take(self, source: str, count: int) -> list[str]:
        """Take the next ``count`` negatives from ``source``; fewer if it has no more."""
        taken: list[str] = []
        while len(taken) < count and (doc_id := next(self._sources[source], None)) is not None:
            key = text_key(self._dataset.train_corpus[doc_id])
            if self._is_negative(doc_id, key, source):
                self._taken.add(key)
                taken.append(doc_id)
        return taken

    def _is_negative(self, doc_id: str, key: bytes, source: str) -> bool:
        # A person may judge the query's own text irrelevant, a search can't.
        if key == self._own_key and source != JUDGED:
            return False
        used = key in self._taken or key in self._dataset.held_out
        return doc_id != self._query_id and not used
