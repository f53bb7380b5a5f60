"""What the data call relevant is never a negative, whatever became of the judgment."""

from pathlib import Path

import pytest

from pipeline.data.judgments import queries_with_trained_passage
from pipeline.data.text import text_key
from pipeline.records import Dataset, QuerySet
from tests.data import beir_folder, gooaq_file
from tests.data.labelled.labelled_file import Row, made, write
from tests.points import load


def keys(*texts: str) -> frozenset[bytes]:
    return frozenset(map(text_key, texts))


def test_a_dropped_judgment_stays_known(tmp_path: Path) -> None:
    folder = beir_folder.write(tmp_path / "in")
    dataset = load(beir_folder.config(folder, disjoint="passage"), tmp_path / "cache")
    # q2 and d5 are dropped, because d5 nearly says what d2 says, which is relevant to q1.
    assert dataset.train.qrels["q2"] == {"d6": 3}
    assert dataset.also_relevant == {"q2": keys("Bees dance")}
    assert dataset.held_out == keys("Owls They hunt at night.", "Bees dance.", "Cats sleep.")


def test_test_queries_that_were_not_drawn_hold_their_passages_out(tmp_path: Path) -> None:
    test = [("q1", "d1", 1), ("q3", "d3", 1), ("q4", "d4", 1)]
    folder = beir_folder.write(tmp_path / "in", test=beir_folder.tsv(test), dev="")
    whole = load(beir_folder.config(folder, max_dev_queries=0), tmp_path / "cache")
    one = load(beir_folder.config(folder, max_dev_queries=0, max_eval_queries=1), tmp_path / "c")
    assert (len(whole.test), len(one.test)) == (3, 1)
    assert whole.held_out == one.held_out == keys(*(whole.corpus[d] for d in ("d1", "d3", "d4")))


def test_the_same_query_under_another_id(tmp_path: Path) -> None:
    rows: list[Row] = [
        {"query": f"Query {n}?", "query_id": f"q{n}", "text": f"Text {n}.", "label": 1}
        for n in range(20)
    ]
    rows.append({"query": "QUERY 3?", "query_id": "again", "text": "Text 3b.", "label": 1})
    dataset = made(write(tmp_path / "a.csv", rows), max_dev_queries=0, test_share=0.1, seed=1)
    assert {"q3", "again"} <= dataset.train.queries.keys()
    assert dataset.also_relevant == {"q3": keys("Text 3b."), "again": keys("Text 3.")}
    assert dataset.held_out == keys(
        *(dataset.corpus[d] for docs in dataset.test.qrels.values() for d in docs)
    )


def test_rows_of_gooaq_that_were_not_drawn(tmp_path: Path) -> None:
    rows = list(gooaq_file.ROWS)
    rows[5] = ("question number 4", "another answer")
    path = gooaq_file.parquet(tmp_path / "in.parquet", rows)
    limits = {"max_eval_queries": 2, "max_dev_queries": 0}
    dataset = load(gooaq_file.config(path, **limits), tmp_path / "cache")
    assert dataset.held_out == keys(*(answer for _, answer in rows[60:] if answer))
    assert dataset.also_relevant == {
        "q0000004": keys("another answer"),
        "q0000005": keys("answer number 4"),
    }


def test_test_queries_that_share_a_passage_with_training() -> None:
    corpus = {"d1": "One.", "d2": "one", "d3": "Two.", "d4": "Three."}
    test = QuerySet({"a": "A", "b": "B"}, {"a": {"d3": 1, "d1": 1}, "b": {"d4": 1}})
    train = QuerySet({"c": "C"}, {"c": {"d2": 1}})
    assert queries_with_trained_passage(test, train, corpus, corpus) == ["a"]


@pytest.fixture
def small(tmp_path: Path) -> Dataset:
    return load(beir_folder.config(beir_folder.write(tmp_path / "in")), tmp_path / "cache")


def test_the_corpus_has_a_fingerprint_of_its_own(small: Dataset, tmp_path: Path) -> None:
    fewer = beir_folder.config(tmp_path / "in", max_train_queries=1)
    limited = load(fewer, tmp_path / "cache")
    assert limited.fingerprint != small.fingerprint
    assert limited.corpus_fingerprint == small.corpus_fingerprint != ""
    assert limited.train_corpus_fingerprint == small.train_corpus_fingerprint
