"""Which passages become negatives, on rankings that can be checked by hand."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from pipeline.config.training import MiningConfig
from pipeline.data.text import text_key
from pipeline.records import Dataset, Hit, InputError, QuerySet
from pipeline.retrieval.embedder import Embedder, Vectors
from pipeline.retrieval.index import PassageTable
from pipeline.training.choice import Chooser
from pipeline.training.negatives import TrainingSet, mine_negatives
from tests.scorers import OfPassage

SIMILARITY = {"a": 0.9, "b": 0.8, "p": 0.8, "c": 0.77, "d": 0.76, "e": 0.7, "f": 0.2, "p2": 0.1}
CORPUS = {name: f"text of {name}" for name in [*SIMILARITY, *(f"r{n}" for n in range(200))]}
NOTHING = QuerySet({}, {})


def dataset(**relevant: int) -> Dataset:
    """One query whose relevant passages are ``relevant``."""
    train = QuerySet({"q": "a question"}, {"q": relevant})
    return Dataset("tiny", "f" * 64, CORPUS, CORPUS, train, NOTHING, NOTHING)


class Ranked:
    """A miner and its table: the cosines are those of ``SIMILARITY``, and 0 for the others."""

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def __len__(self) -> int:
        return len(CORPUS)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        return np.ones((len(texts), 1), np.float32)

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        self.encoded += texts
        return np.array([[SIMILARITY[text.split()[-1]]] for text in texts], np.float32)

    def search_vector(self, vectors: Vectors, depth: int) -> list[list[Hit]]:
        return [[Hit(*hit) for hit in SIMILARITY.items()][:depth] for _ in vectors]


def mined(folder: Path, data: Dataset, ranked: Ranked, config: MiningConfig) -> tuple[str, ...]:
    table, embedder = cast(PassageTable, ranked), cast(Embedder, ranked)
    mine_negatives(folder, data, table, embedder, config, seed=0)
    return next(iter(TrainingSet(folder, data, config.depth))).negative_ids


def chosen(data: Dataset, filter_by: OfPassage | None = None, **changes: object) -> tuple[str, ...]:
    config = replace(MiningConfig(depth=2, last_rank=8), **changes)  # type: ignore[arg-type]
    return Chooser(data, config, 0, filter_by).choose({"q": list(SIMILARITY)})["q"]


@pytest.mark.parametrize(
    ("margins", "expected"),
    [
        ({}, ("a", "b", "c")),
        ({"relative_margin": 0.0}, ("b", "c", "d")),
        ({"relative_margin": 0.05}, ("d", "e", "f")),  # at most 95% of 0.8, which is 0.76
        ({"margin": 0.1, "relative_margin": 0.05}, ("e", "f", "p2")),  # the stricter of both
    ],
)
def test_a_relative_margin_is_a_share_of_the_positives_similarity(
    margins: dict[str, float], expected: tuple[str, ...], tmp_path: Path
) -> None:
    config = MiningConfig(depth=3, last_rank=8, **margins)  # type: ignore[arg-type]
    ranked = Ranked()
    assert mined(tmp_path, dataset(p=1), ranked, config) == expected
    assert ranked.encoded == []  # The search has found the positive.


def test_a_positive_that_is_not_found_is_as_similar_as_it_is(tmp_path: Path) -> None:
    ranked, config = Ranked(), MiningConfig(depth=1, last_rank=5, margin=0.05)
    with pytest.raises(InputError, match=r"first_rank=0, mining.last_rank=5, mining.margin=0.05"):
        mined(tmp_path, dataset(p2=1), ranked, config)  # No hit is below 0.05.
    assert ranked.encoded == ["text of p2"]


def test_random_negatives_are_spread_over_every_prefix() -> None:
    data = dataset(p=1)
    negatives = chosen(data, depth=6, random_share=0.34)
    assert negatives[::2][:2] == ("a", "b")
    # 0.34 of 1, 2, ... 6 are 0.34, 0.68, 1.02, 1.36, 1.7, 2.04; rounded 0, 1, 1, 1, 2, 2.
    assert [name in SIMILARITY for name in negatives] == [True, False, True, True, False, True]
    assert len(set(negatives)) == 6
    assert negatives == chosen(data, depth=6, random_share=0.34)
    other = replace(data, train=QuerySet({"q": "?"}, {"q": {"p": 1}}, {"q": ["f"]}))
    assert chosen(other, depth=4, random_share=0.5)[::2] == ("f", "a")  # judged ones first
    whole = chosen(data, depth=8, random_share=1.0)
    assert sum(name in SIMILARITY for name in whole) < 4


def test_random_negatives_are_neither_relevant_nor_held_out() -> None:
    others = {text_key(CORPUS[name]) for name in CORPUS if name not in ("p", "r7", "r8")}
    data = replace(dataset(p=1), held_out=others)
    assert sorted(chosen(data, depth=12, last_rank=12, random_share=1.0)) == ["r7", "r8"]


def test_a_filter_throws_out_what_it_puts_above_the_lowest_positive() -> None:
    scores = dict.fromkeys(CORPUS, 0.0) | {"a": 3.1, "b": 2.0, "p": 5.0, "p2": 2.5, "c": 2.6}
    both = dataset(p=1, p2=1)
    filter_by = OfPassage(scores)
    assert chosen(both, filter_by) == ("b", "d")
    # The positives at once, then as many passages as are wanted, until there are enough.
    asked = [[passage for _, passage in call] for call in filter_by.calls]
    assert asked == [["p", "p2"], ["a", "b"], ["c", "d"]]
    assert chosen(dataset(p=1), OfPassage(scores)) == ("a", "b")
    # A passage that a person judged irrelevant stays.
    judged = QuerySet({"q": "?"}, {"q": {"p2": 1}}, {"q": ["a"]})
    assert chosen(replace(both, train=judged), OfPassage(scores)) == ("a", "b")
    all_above = OfPassage(dict.fromkeys(CORPUS, 1.0) | {"p": 0.0})
    assert chosen(dataset(p=1), all_above) == ()


def test_scores_of_a_filter_must_be_finite() -> None:
    scores = dict.fromkeys(CORPUS, 0.0) | {"a": float("nan")}
    with pytest.raises(RuntimeError, match="query q, document a: the score is nan"):
        chosen(dataset(p=1), OfPassage(scores))
