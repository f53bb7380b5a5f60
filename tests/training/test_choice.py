"""Which passages become negatives, on rankings that can be checked by hand."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.config.index import IndexConfig
from pipeline.config.training import MiningConfig
from pipeline.data.text import text_key
from pipeline.records import Dataset, InputError, QuerySet
from pipeline.retrieval.index import PassageTable, build_table
from pipeline.training.choice import Chooser
from pipeline.training.negatives import mine_negatives
from pipeline.training.training_set import TrainingSet
from tests.embedders import Cosines
from tests.scorers import OfPassage

# The cosines of passages to the query, best first; those of the others are 0.
SIMILARITY = {"a": 0.9, "p": 0.8, "b": 0.79, "c": 0.77, "d": 0.75, "e": 0.69, "f": 0.2, "p2": 0.1}
CORPUS = {name: f"text of {name}" for name in [*SIMILARITY, *(f"r{n}" for n in range(200))]}
COSINES = {text: SIMILARITY.get(name, 0.0) for name, text in CORPUS.items()}
NOTHING = QuerySet({}, {})
Mined = Callable[..., tuple[str, ...]]


def dataset(**relevant: int) -> Dataset:
    """One query whose relevant passages are ``relevant``."""
    train = QuerySet({"q": "a question"}, {"q": relevant})
    return Dataset("tiny", "f" * 64, CORPUS, CORPUS, train, NOTHING, NOTHING)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> PassageTable:
    folder = tmp_path_factory.mktemp("index")
    build_table(folder / "table", CORPUS, Cosines(COSINES), IndexConfig(), folder / "kept")
    return PassageTable(folder / "table")


@pytest.fixture
def embedder() -> Cosines:
    return Cosines(COSINES)


@pytest.fixture
def mined(table: PassageTable, embedder: Cosines, tmp_path: Path) -> Mined:
    """The negatives of the query: ``mined(dataset(p=1), depth=3)``."""

    def mine(data: Dataset, **changes: object) -> tuple[str, ...]:
        config = MiningConfig(**({"last_rank": 8} | changes))  # type: ignore[arg-type]
        mine_negatives(tmp_path, data, table, embedder, config, seed=0)
        return next(iter(TrainingSet(tmp_path, data, config.depth))).negative_ids

    return mine


def chosen(
    data: Dataset, filter_by: OfPassage | None = None, seed: int = 0, **changes: object
) -> tuple[str, ...]:
    config = replace(MiningConfig(depth=2, last_rank=8), **changes)  # type: ignore[arg-type]
    return Chooser(data, config, seed, filter_by).choose({"q": list(SIMILARITY)})["q"]


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
    margins: dict[str, float], expected: tuple[str, ...], mined: Mined, embedder: Cosines
) -> None:
    assert mined(dataset(p=1), depth=3, **margins) == expected
    assert embedder.passages == []  # The search has found the positive.


def test_a_margin_is_kept_to_the_most_similar_positive(mined: Mined, embedder: Cosines) -> None:
    assert mined(dataset(p=1, p2=1), depth=3, relative_margin=0.05) == ("d", "e", "f")
    assert embedder.passages == []
    # The search finds neither here; up to 0.1 more similar than p2 are e and f, than r0 nothing.
    assert mined(dataset(p2=1, r0=1), depth=1, last_rank=7, margin=-0.1) == ("f",)
    assert embedder.passages == ["text of p2", "text of r0"]


def test_a_positive_that_is_not_found_is_as_similar_as_it_is(
    mined: Mined, embedder: Cosines
) -> None:
    with pytest.raises(InputError, match=r"first_rank=0, mining.last_rank=5, mining.margin=0.05"):
        mined(dataset(p2=1), depth=1, last_rank=5, margin=0.05)  # No hit is below 0.05.
    assert embedder.passages == ["text of p2"]


def test_random_sampling_depends_on_the_seed() -> None:
    first, second = (chosen(dataset(p=1), None, s, depth=3, sampling="random") for s in (0, 1))
    assert (first, second) == (("f", "e", "b"), ("d", "c", "a"))


def test_a_person_may_judge_the_query_s_own_text_irrelevant() -> None:
    own = QuerySet({"q": "text of a"}, {"q": {"p": 1}})
    assert chosen(replace(dataset(p=1), train=own)) == ("b", "c")
    judged = replace(own, irrelevant={"q": ["a"]})
    assert chosen(replace(dataset(p=1), train=judged)) == ("a", "b")


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
    # A passage that scores as the positive stays, and one that scores a little more does not.
    equal = OfPassage(dict.fromkeys(CORPUS, 0.0) | {"a": 2.0, "b": 2.1, "p": 2.0})
    assert chosen(dataset(p=1), equal) == ("a", "c")
    all_above = OfPassage(dict.fromkeys(CORPUS, 1.0) | {"p": 0.0})
    assert chosen(dataset(p=1), all_above) == ()


def test_scores_of_a_filter_must_be_finite() -> None:
    scores = dict.fromkeys(CORPUS, 0.0) | {"a": float("nan")}
    with pytest.raises(RuntimeError, match="query q, document a: the score is nan"):
        chosen(dataset(p=1), OfPassage(scores))
