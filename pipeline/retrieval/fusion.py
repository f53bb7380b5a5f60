"""Fuse rankings of the same query into one, by rank or by score."""

from collections.abc import Sequence
from math import fsum

from pipeline.records import Hit, sort_hits

FUSION_WEIGHTS = tuple(step / 10 for step in range(11))
"""Fusion weights to choose from: 0 is no reranking, 1 is the reranker alone."""


def fuse(
    method: str,
    retrieved: Sequence[Hit],
    reranked: Sequence[Hit],
    fusion_weight: float | None,
    k: int,
) -> list[Hit]:
    """Fuse the retrieved order with the reranked one, by "weighted" scores or by "rrf".

    ``fusion_weight`` is the reranker's share for "weighted"; "rrf" has none. ``k`` is the constant
    of "rrf" and is not used by "weighted". Both lists hold the same documents.
    """
    if method == "rrf":
        return reciprocal_rank_fusion([retrieved, reranked], k)
    assert fusion_weight is not None
    return weighted_fusion(retrieved, reranked, fusion_weight)


def reciprocal_rank_fusion(rankings: Sequence[Sequence[Hit]], k: int) -> list[Hit]:
    """Sum 1 / (k + rank) over the rankings that hold a document, rank from 1.

    Cormack, Clarke and Buettcher (2009), who use k=60: a larger k makes the first ranks count
    less. The order of each ranking is taken as it is, its scores are not used. Returns every
    document of any ranking. Equal sums are in the order of the first ranking; documents that it
    lacks follow, in that of the next.
    """
    parts: dict[str, list[float]] = {}
    for ranking in rankings:
        for rank, hit in enumerate(ranking, start=1):
            parts.setdefault(hit.doc_id, []).append(1 / (k + rank))
    # fsum rounds once: the same ranks give the same sum, whichever ranking they come from.
    return sort_hits(Hit(doc_id, fsum(terms)) for doc_id, terms in parts.items())


def weighted_fusion(
    retrieved: Sequence[Hit], reranked: Sequence[Hit], fusion_weight: float
) -> list[Hit]:
    """(1 - weight) * minmax(retrieved) + weight * minmax(reranked), scores in 0..1.

    A convex combination (Bruch, Gai and Ingber 2023) of the scores of the same documents.
    ``fusion_weight`` 0 returns the documents in the order of ``retrieved`` and 1 in that of
    ``reranked``, whatever their ties; between them equal scores keep the order of ``retrieved``.
    Scores that are all equal become 0.

    Raises:
        ValueError: the two lists do not hold the same documents, or ``fusion_weight`` is not in
            0..1.
    """
    if not 0 <= fusion_weight <= 1:
        raise ValueError(f"fusion weight {fusion_weight}: must be in 0..1")
    first, second = _minmax(retrieved), _minmax(reranked)
    if not len(retrieved) == len(reranked) == len(first) or first.keys() != second.keys():
        raise ValueError("the search and the reranker must hold the same documents, once each")
    # Rounding in minmax may make two scores equal, so the ends do not sort again.
    if fusion_weight == 0:
        return [Hit(hit.doc_id, first[hit.doc_id]) for hit in retrieved]
    if fusion_weight == 1:
        return [Hit(hit.doc_id, second[hit.doc_id]) for hit in reranked]
    return sort_hits(
        Hit(doc_id, (1 - fusion_weight) * first[doc_id] + fusion_weight * second[doc_id])
        for doc_id in first
    )


def _minmax(hits: Sequence[Hit]) -> dict[str, float]:
    """Scale the scores to 0..1, by document id."""
    if not hits:
        return {}
    low, high = min(hit.score for hit in hits), max(hit.score for hit in hits)
    span = high - low
    return {hit.doc_id: (hit.score - low) / span if span > 0 else 0.0 for hit in hits}
