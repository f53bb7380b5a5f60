"""What a model has seen is known wherever it goes, and is never measured."""

from pathlib import Path

import pytest

from pipeline.experiment import seen
from pipeline.records import Dataset, InputError, QuerySet


def dataset(train: str = "", dev: str = "", test: str = "") -> Dataset:
    """A data set with a query for every letter of a split."""
    corpus = {"d": "text"}

    def split(letters: str) -> QuerySet:
        return QuerySet({q: f"Query {q}" for q in letters}, {q: {"d": 1} for q in letters})

    return Dataset("letters", "f", corpus, corpus, split(train), split(dev), split(test))


def test_training_and_dev_queries_are_seen_and_those_of_the_start(tmp_path: Path) -> None:
    folders = base, first, second = [tmp_path / name for name in ("base", "first", "second")]
    for folder in folders:
        folder.mkdir()
    seen.save(first, dataset(train="ab", dev="c", test="d"), trained=True, start=base)
    seen.save(second, dataset(train="e", dev="f", test="g"), trained=True, start=first)
    asked = {letter: f"query {letter}!" for letter in "abcdefgh"}  # equal but for symbols and case
    assert seen.seen(base, asked) == set()
    assert seen.seen(first, asked) == set("abc")
    assert seen.seen(second, asked) == set("abcef")


def test_an_untrained_model_has_seen_the_dev_queries_alone(tmp_path: Path) -> None:
    seen.save(tmp_path, dataset(train="ab", dev="c", test="d"), trained=False, start=tmp_path)
    assert seen.seen(tmp_path, {letter: f"Query {letter}" for letter in "abcd"}) == {"c"}


def test_a_model_that_has_seen_test_queries_is_refused(tmp_path: Path) -> None:
    seen.save(tmp_path, dataset(train="ab", dev="c"), trained=True, start=tmp_path)
    seen.refuse_seen("base=run:x", tmp_path, dataset(test="de"))
    with pytest.raises(InputError, match=r"^base=run:x: 2 of the 3 test queries of letters are "):
        seen.refuse_seen("base=run:x", tmp_path, dataset(test="bcd"))
