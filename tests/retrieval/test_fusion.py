"""Fusion against sums done by hand, and properties that hold for any scores."""

import random

import pytest

from pipeline.records import Hit, sort_hits
from pipeline.retrieval.fusion import FUSION_WEIGHTS, reciprocal_rank_fusion, weighted_fusion


def hits(**scores: float) -> list[Hit]:
    return [Hit(doc_id, value) for doc_id, value in scores.items()]


def ids(ranking: list[Hit]) -> list[str]:
    return [hit.doc_id for hit in ranking]


def test_rrf_by_hand() -> None:
    fused = reciprocal_rank_fusion([hits(a=9, b=8, c=7), hits(c=1, d=0)], k=60)
    assert ids(fused) == [
        "c",
        "a",
        "b",
        "d",
    ]  # b and d have the same sum: the first list comes first
    assert [h.score for h in fused] == pytest.approx([1 / 63 + 1 / 61, 1 / 61, 1 / 62, 1 / 62])


def test_rrf_takes_the_order_of_the_lists_not_their_scores() -> None:
    assert ids(reciprocal_rank_fusion([hits(b=1, a=1), hits(b=-5, a=3)], k=1)) == ["b", "a"]


def test_rrf_of_the_same_ranks_in_any_order_ties() -> None:
    documents = ["a", "b", "c"]
    rankings = [hits(**dict.fromkeys(documents[i:] + documents[:i], 0.0)) for i in range(3)]
    fused = reciprocal_rank_fusion(rankings, k=60)
    assert ids(fused) == documents
    assert len({hit.score for hit in fused}) == 1


def test_rrf_of_nothing() -> None:
    assert reciprocal_rank_fusion([], k=60) == reciprocal_rank_fusion([[], []], k=60) == []


def test_weighted_by_hand() -> None:
    first = hits(a=10, b=5, c=0)  # 1, 0.5, 0
    reranked = hits(c=4, b=2, a=0)  # c 1, b 0.5, a 0
    assert weighted_fusion(first, reranked, 0.25) == hits(a=0.75, b=0.5, c=0.25)
    assert weighted_fusion(first, reranked, 0.5) == hits(a=0.5, b=0.5, c=0.5)
    assert weighted_fusion(first, reranked, 0.75) == hits(c=0.75, b=0.5, a=0.25)


def test_constant_scores_do_not_decide() -> None:
    first = hits(a=3, b=2, c=1)
    constant = hits(c=7, b=7, a=7)
    assert ids(weighted_fusion(first, constant, 0.9)) == ["a", "b", "c"]
    assert ids(weighted_fusion(constant, constant, 0.5)) == ["c", "b", "a"]
    assert weighted_fusion(hits(a=1), hits(a=2), 0.5) == hits(a=0)
    assert weighted_fusion([], [], 0.5) == []


def test_the_ends_keep_the_order_of_ties() -> None:
    first, reranked = hits(b=1, a=1, c=0), hits(c=2, b=2, a=2)
    assert ids(weighted_fusion(first, reranked, 0)) == ["b", "a", "c"]
    assert ids(weighted_fusion(first, reranked, 1)) == ["c", "b", "a"]


def test_the_ends_survive_rounding() -> None:
    close = hits(z=1e-17, a=0.0, m=-1e9)  # z and a become equal once scaled
    assert ids(weighted_fusion(close, hits(a=3, m=2, z=1), 0)) == ["z", "a", "m"]
    assert ids(weighted_fusion(hits(a=3, m=2, z=1), close, 1)) == ["z", "a", "m"]


@pytest.mark.parametrize("seed", range(20))
def test_properties_of_weighted_fusion(seed: int) -> None:
    rng = random.Random(seed)
    documents = [f"d{i}" for i in range(rng.randint(1, 40))]
    first = sort_hits(Hit(d, rng.choice([0.1, 0.5, rng.gauss(0, 9)])) for d in documents)
    reranked = sort_hits(Hit(d, rng.choice([2.0, rng.gauss(5, 1)])) for d in documents)
    assert ids(weighted_fusion(first, reranked, 0)) == ids(first)
    assert ids(weighted_fusion(first, reranked, 1)) == ids(reranked)
    for weight in FUSION_WEIGHTS:
        fused = weighted_fusion(first, reranked, weight)
        assert sorted(ids(fused)) == sorted(documents)
        assert all(0 <= hit.score <= 1 for hit in fused)
        assert [h.score for h in fused] == sorted((h.score for h in fused), reverse=True)
        # a positive affine change of either scale does not change the order
        stretched = [Hit(hit.doc_id, 8 * hit.score) for hit in first]  # exact in binary
        assert weighted_fusion(stretched, reranked, weight) == fused


def test_weights() -> None:
    assert FUSION_WEIGHTS == (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@pytest.mark.parametrize(
    ("first", "reranked"),
    [
        (hits(a=1), hits(b=1)),
        (hits(a=1, b=1), hits(a=1)),
        ([Hit("a", 1), Hit("a", 2)], hits(a=1)),
        (hits(a=1), [Hit("a", 1), Hit("a", 2)]),
    ],
)
def test_refuses_different_documents(first: list[Hit], reranked: list[Hit]) -> None:
    with pytest.raises(ValueError, match="same documents"):
        weighted_fusion(first, reranked, 0.5)


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan")])
def test_refuses_a_weight_out_of_range(weight: float) -> None:
    with pytest.raises(ValueError, match="weight"):
        weighted_fusion(hits(a=1), hits(a=1), weight)
