"""A trained reranker behind LanceDB's ``search(...).rerank(...)``.

    reranker = LanceReranker(model, top_k=10, depth=40)
    Searches(table).reranked("vector", text, vector, reranker).to_arrow()

The rows need the columns ``id`` and ``text``. ``Searches`` builds the query that the evaluation
measured, deeper than what is reranked: LanceDB leaves ties in no particular order, so the cut is
made here.
"""

from collections import Counter
from collections.abc import Sequence

import pyarrow as pa
from lancedb.query import MatchQuery
from lancedb.rerankers import Reranker as LanceDBReranker

from pipeline.protocols import Scorer
from pipeline.records import Hit, sort_hits
from pipeline.retrieval.fusion import fuse, reciprocal_rank_fusion
from pipeline.retrieval.searches import SEARCH_DEPTH
from pipeline.retrieval.ties import tie_key


class LanceReranker(LanceDBReranker):  # type: ignore[misc]
    """Reranks the first ``depth`` results and returns the best ``top_k`` of them.

    Without a ``model`` the order of the search remains, which is the search alone. ``fusion`` is
    "weighted" or "rrf"; None reranks by the model alone. ``fusion_weight`` (0..1) is the share of
    the model's score when it is fused with that of the search, and ``rrf_k`` the constant of "rrf".
    ``hybrid_k`` is the constant of the reciprocal rank fusion that hybrid search starts from, and
    ``search_depth`` the number of passages that it takes from each side.
    """

    def __init__(
        self,
        model: Scorer | None,
        top_k: int | None = None,
        depth: int | None = None,
        fusion: str | None = None,
        fusion_weight: float = 1.0,
        rrf_k: int = 10,
        hybrid_k: int = 60,
        search_depth: int = SEARCH_DEPTH,
    ) -> None:
        super().__init__("relevance")
        self._model = model
        self._top_k = top_k
        self._depth = depth
        self._fusion = fusion
        self._fusion_weight = fusion_weight
        self._rrf_k = rrf_k
        self._hybrid_k = hybrid_k
        self._search_depth = max(search_depth, depth or 0)

    def rerank_vector(self, query: str, vector_results: pa.Table) -> pa.Table:
        """Rerank the rows of a vector search; returns them best first, with _relevance_score."""
        return self._rerank(query, self._hits(vector_results), vector_results)

    def rerank_fts(self, query: str | MatchQuery, fts_results: pa.Table) -> pa.Table:
        """Rerank the rows of a full-text search; returns them best first, with _relevance_score."""
        return self._rerank(_text(query), self._hits(fts_results), fts_results)

    def rerank_hybrid(
        self, query: str | MatchQuery, vector_results: pa.Table, fts_results: pa.Table
    ) -> pa.Table:
        """Fuse the rows of both searches, cut them to the depth and rerank them."""
        sides = [self._hits(rows)[: self._search_depth] for rows in (vector_results, fts_results)]
        hits = reciprocal_rank_fusion(sides, self._hybrid_k)
        return self._rerank(_text(query), hits, self.merge_results(vector_results, fts_results))

    def _hits(self, rows: pa.Table) -> list[Hit]:
        """Return the rows with the score of the search, as the evaluation orders them."""
        ids, texts = rows["id"].to_pylist(), rows["text"].to_pylist()
        if "_distance" in rows.column_names:
            scores = [1.0 - distance for distance in rows["_distance"].to_pylist()]
        else:
            scores = rows["_score"].to_pylist()
        # Only rows that tie are hashed: all of them would take a millisecond.
        rows_with = Counter(scores)
        keys = [
            tie_key(text) if rows_with[score] > 1 else 0
            for text, score in zip(texts, scores, strict=True)
        ]
        by_content = sorted(zip(keys, ids, scores, strict=True))
        return sort_hits(Hit(doc_id, score) for _, doc_id, score in by_content)

    def _rerank(self, query: str, found: Sequence[Hit], rows: pa.Table) -> pa.Table:
        candidates = found[: self._depth]
        position = {doc_id: index for index, doc_id in enumerate(rows["id"].to_pylist())}
        hits = list(candidates)
        if self._model is not None and candidates:
            texts = rows["text"].to_pylist()
            passages = {hit.doc_id: texts[position[hit.doc_id]] for hit in candidates}
            pairs = [("", doc_id) for doc_id in passages]
            scores = self._model.score_pairs({"": query}, passages, pairs)
            hits = sort_hits(map(Hit, passages, scores.tolist()))
            if self._fusion is not None:
                hits = fuse(self._fusion, candidates, hits, self._fusion_weight, self._rrf_k)
        hits = hits[: self._top_k]
        kept = [name for name in rows.column_names if name not in ("_distance", "_score")]
        places = pa.array([position[hit.doc_id] for hit in hits], pa.int64())
        best = rows.select(kept).take(places)
        relevance = pa.array([hit.score for hit in hits], pa.float32())
        return best.append_column("_relevance_score", relevance)


def _text(query: str | MatchQuery) -> str:
    """The text of a query as LanceDB hands it to a reranker."""
    return query if isinstance(query, str) else query.query
