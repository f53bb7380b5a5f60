from collections import Counter
from pathlib import Path

import pytest

from pipeline.data.corpus import Corpus, CorpusWriter
from pipeline.data.splits import limit_corpus, sample, without_leaks
from pipeline.records import InputError, QuerySet

CORPUS = {"d1": "One.", "d2": "Two.", "d3": "Three.", "d4": "one", "d5": "Five."}


def split(**queries: tuple[str, dict[str, int]]) -> QuerySet:
    return QuerySet(
        {name: text for name, (text, _) in queries.items()},
        {name: docs for name, (_, docs) in queries.items()},
    )


def test_planted_leaks_are_dropped_and_counted() -> None:
    test = split(t1=("What is one?", {"d1": 1}))
    dev = split(v1=("What is two?", {"d2": 1}))
    train = split(
        a=("what is ONE", {"d5": 1}),  # the text of t1
        b=("what is  two", {"d5": 1}),  # the text of v1
        c=("Which is it?", {"d4": 1}),  # d4 says what d1 says
        d=("Which are they?", {"d2": 2, "d3": 1}),  # d2 is v1's, d3 stays
        e=("What is five?", {"d5": 3}),
    )
    dropped: Counter[str] = Counter()

    kept = without_leaks(train, "train", CORPUS, {"test": test, "dev": dev}, dropped)

    assert kept == split(d=("Which are they?", {"d3": 1}), e=("What is five?", {"d5": 3}))
    assert dropped == {
        "train_query_in_test": 1,
        "train_query_in_dev": 1,
        "train_passage_in_test": 1,
        "train_passage_in_dev": 1,
        "train_query_left_empty": 1,
    }


def test_a_judged_irrelevant_passage_that_is_relevant_in_an_earlier_split_goes() -> None:
    test = split(t=("Test?", {"d1": 1}))
    train = QuerySet({"a": "A?"}, {"a": {"d3": 1}}, {"a": ["d4", "d5", "d6"]})
    corpus = CORPUS | {"d6": " ONE."}  # d6 has the text of d1, d4 differs by a symbol
    dropped: Counter[str] = Counter()
    kept = without_leaks(train, "train", corpus, {"test": test}, dropped)
    assert kept == QuerySet(train.queries, train.qrels, {"a": ["d4", "d5"]})
    assert dropped == {"train_irrelevant_in_test": 1}


def test_what_is_in_both_counts_for_the_first_split() -> None:
    test = split(t=("Same?", {"d1": 1}))
    dev = split(v=("same", {"d4": 1}))
    dropped: Counter[str] = Counter()
    without_leaks(
        split(a=("SAME", {"d1": 1})), "train", CORPUS, {"test": test, "dev": dev}, dropped
    )
    assert dropped == {"train_query_in_test": 1}


def test_clean_split_stays_as_it_is() -> None:
    dropped: Counter[str] = Counter()
    train = split(a=("A?", {"d3": 1, "d5": 2}))
    assert without_leaks(train, "train", CORPUS, {"test": split()}, dropped) == train
    assert not dropped


def test_sample_golden() -> None:
    # printf 0:d | sha256sum gives 7d98..., 0:a 9df3..., 0:c be08..., 0:b e021...
    assert sample(["a", "b", "c", "d"], None, seed=0) == ["d", "a", "c", "b"]
    assert sample(["d", "c", "b", "a"], 2, seed=0) == ["d", "a"]


def test_smaller_sample_is_a_prefix_and_seeds_differ() -> None:
    ids = [f"q{n}" for n in range(200)]
    whole = sample(ids, None, seed=3)
    assert sorted(whole) == sorted(ids)
    assert sample(reversed(ids), 20, seed=3) == whole[:20]
    assert sample(ids, 500, seed=3) == whole
    assert sample(ids, 20, seed=4) != whole[:20]


def write(folder: Path) -> Path:
    with CorpusWriter(folder) as writer:
        for n in range(100):
            writer.add(f"d{n:02d}", f"text {n}")
    return folder


def test_limited_corpus_holds_the_relevant_passages_in_their_order(tmp_path: Path) -> None:
    test, train = split(t=("?", {"d90": 1, "d07": 2})), split(a=("!", {"d50": 1}))

    corpus = limit_corpus(write(tmp_path / "full"), tmp_path / "corpus", 10, 0, (test, train))

    assert len(corpus) == 10
    assert {"d90", "d07", "d50"} <= set(corpus)
    assert list(corpus) == sorted(corpus)
    assert corpus["d90"] == "text 90"
    assert not (tmp_path / "full").exists()


def test_unlimited_corpus_is_the_whole(tmp_path: Path) -> None:
    for name, limit in (("a", None), ("b", 100), ("c", 1000)):
        full = write(tmp_path / f"full_{name}")
        expected = Corpus(full).fingerprint
        assert limit_corpus(full, tmp_path / name, limit, 0, ()).fingerprint == expected


def test_corpus_limit_below_the_relevant_passages(tmp_path: Path) -> None:
    test = split(t=("?", {"d90": 1, "d07": 2}))
    with pytest.raises(InputError, match=r"^dataset\.max_corpus=1: .* 2 relevant passages; give"):
        limit_corpus(write(tmp_path / "full"), tmp_path / "corpus", 1, 0, (test,))
