"""A reranker fused with vector search, as a scorer."""

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.protocols import Scorer, Scores
from pipeline.records import Hit
from pipeline.retrieval.embedder import Embedder
from pipeline.retrieval.fusion import weighted_fusion


class FusedScorer:
    """Scores in 0..1 by ``weighted_fusion`` of vector search with a reranker.

    ``fusion_weight`` is the reranker's share. Both scores are scaled over the passages that a call
    has for the query, so all of them must be in one call.
    """

    def __init__(self, reranker: Scorer, embedder: Embedder, fusion_weight: float) -> None:
        self._reranker = reranker
        self._embedder = embedder
        self._fusion_weight = fusion_weight

    def score_pairs(
        self,
        queries: Mapping[str, str],
        passages: Mapping[str, str],
        pairs: Sequence[tuple[str, str]],
        progress: bool = False,
    ) -> Scores:
        """Compute the fused scores, shape (len(pairs),)."""
        reranked = self._reranker.score_pairs(queries, passages, pairs, progress).tolist()
        by_query: dict[str, list[Hit]] = {}
        for (query_id, doc_id), score in zip(pairs, reranked, strict=True):
            by_query.setdefault(query_id, []).append(Hit(doc_id, score))
        doc_ids = list(dict.fromkeys(doc_id for _, doc_id in pairs))
        encoded = self._embedder.encode_passages([passages[doc_id] for doc_id in doc_ids])
        vectors = dict(zip(doc_ids, encoded, strict=True))
        of_queries = self._embedder.encode_queries([queries[query_id] for query_id in by_query])
        fused: dict[tuple[str, str], float] = {}
        for (query_id, hits), vector in zip(by_query.items(), of_queries, strict=True):
            found = [Hit(hit.doc_id, float(vector @ vectors[hit.doc_id])) for hit in hits]
            for hit in weighted_fusion(found, hits, self._fusion_weight):
                fused[query_id, hit.doc_id] = hit.score
        return np.array([fused[pair] for pair in pairs], dtype=np.float32)
