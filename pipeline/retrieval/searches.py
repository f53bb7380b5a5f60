"""Build the LanceDB query of each search: the one place for evaluation, timing and serving.

    searches = Searches(table)
    found = searches.reranked("hybrid", text, vector, reranker).to_list()

The table needs the columns ``id``, ``text`` and ``vector``, and a full-text index on ``text``.
LanceDB leaves ties in no particular order. ``PassageTable`` and ``LanceReranker`` put the rows into
the order of the search and cut it.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from lancedb.query import MatchQuery
from lancedb.rerankers import Reranker
from lancedb.table import Table

from pipeline.retrieval.embedder import Vectors

SEARCH_DEPTH = 100  # passages that each search finds, whatever is reranked of them
TIE_FACTOR = 2  # how many times deeper LanceDB is asked, so that ties at the end are all there
HNSW_EF = 300  # candidates kept during the walk of a graph
PROBES = 100  # nearest graphs that are walked: all of them up to 5 million passages


class Searches:
    """The searches of one table.

    ``depth`` is how many passages a search finds. It is the same for every number of reranked
    passages, because the order of hybrid search and of an approximate index depends on it.
    """

    def __init__(
        self, table: Table, depth: int = SEARCH_DEPTH, columns: Sequence[str] = ("id", "text")
    ) -> None:
        self.table = table
        self.depth = depth
        self._columns = list(columns)

    @cached_property
    def exact(self) -> bool:
        """Whether there is no vector index, so that vector search compares all passages."""
        return not any("vector" in index.columns for index in self.table.list_indices())

    def vector(self, vectors: Vectors, fetch: int | None = None) -> Any:
        """Search by cosine distance; ``vectors`` has shape (dimension,) or (queries, dimension).

        ``fetch`` is the number of rows of a query, ``TIE_FACTOR * depth`` if it is None.
        """
        query = self.table.search(vectors, vector_column_name="vector")
        return self._by_vector(query, fetch).select([*self._columns, "_distance"])

    def fts(self, text: str, fetch: int | None = None) -> Any:
        """Search by BM25; terms are OR-ed and have no syntax. ``fetch`` as in ``vector``."""
        query = self.table.search(_words(text), query_type="fts")
        return query.select([*self._columns, "_score"]).limit(self._fetch(fetch))

    def hybrid(self, text: str, vector: Vectors) -> Any:
        """Search by both; the reranker gets the rows of both sides."""
        query = self.table.search(query_type="hybrid").text(_words(text)).vector(vector)
        return self._by_vector(query, None).select(self._columns)

    def reranked(self, search: str, text: str, vector: Vectors | None, reranker: Reranker) -> Any:
        """Search by "vector", "fts" or "hybrid" and rerank; ``vector`` is that of ``text``."""
        if search == "fts":
            return self.fts(text).rerank(reranker)
        assert vector is not None
        if search == "vector":
            return self.vector(vector).rerank(reranker, query_string=text)
        return self.hybrid(text, vector).rerank(reranker)

    def _by_vector(self, query: Any, fetch: int | None) -> Any:
        rows = self._fetch(fetch)
        query = query.distance_type("cosine").limit(rows)
        if self.exact:
            return query
        return query.nprobes(PROBES).ef(max(HNSW_EF, rows)).refine_factor(1)

    def _fetch(self, fetch: int | None) -> int:
        return TIE_FACTOR * self.depth if fetch is None else fetch


def _words(text: str) -> MatchQuery:
    """Search for the words of ``text``: LanceDB would take a text in quotes for a phrase."""
    return MatchQuery(text, "text")
