"""Data sets in BEIR layout: texts, gains, leaks, limits, and two real ones."""

import os
from pathlib import Path

import pytest

from pipeline.config.datasets import BeirConfig
from pipeline.data import summary
from pipeline.data.judgments import relevant_ids
from pipeline.data.text import bare
from pipeline.records import Dataset, InputError, QuerySet
from tests.data.beir_folder import CORPUS, QUERIES, TEST, config, jsonl, tsv, write
from tests.points import load

CHECKOUT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("SHARED_DATA", CHECKOUT.parent / "shared" / "data"))


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_reads_texts_titles_and_graded_gains(tmp_path: Path, suffix: str) -> None:
    dataset = load(config(write(tmp_path / "in", suffix)), tmp_path / "cache")

    assert dataset.name == "tiny"
    assert dict(dataset.corpus) == {
        "d1": "Owls They hunt at night.",
        "d2": "Bees dance.",
        "d3": "Über Ameisen: sie bauen Straßen.",
        "d4": "Cats sleep.",
        "d5": "bees dance",
        "d6": "Dogs bark.",
    }
    assert dataset.train_corpus is dataset.corpus
    assert dataset.test.queries == {"q1": "When do owls hunt?"}
    assert dataset.test.qrels == {"q1": {"d1": 2, "d2": 1}}
    assert dataset.test.irrelevant == {"q1": ["d3"]}  # q3 has nothing else, so it goes
    assert dataset.dev == QuerySet({"q4": "Who sleeps?"}, {"q4": {"d4": 1}})


def test_leaks_and_irrelevant_judgments_are_dropped_and_counted(tmp_path: Path) -> None:
    folder = write(tmp_path / "in")
    dataset = load(config(folder, disjoint="passage"), tmp_path / "cache")

    # d5 says what d2 says, which is q1's; q6 asks what q1 asks
    assert dataset.train.qrels == {"q2": {"d6": 3}, "q5": {"d6": 1}}
    assert dataset.dropped == {
        "judged_irrelevant": 2,
        "test_query_without_relevant": 1,
        "train_passage_in_test": 1,
        "train_query_in_test": 1,
    }
    assert summary(dataset) == (
        "dataset tiny: 6 passages, 2 train, 1 dev and 1 test queries; dropped: "
        "2 judged_irrelevant, 1 test_query_without_relevant, 1 train_passage_in_test, "
        "1 train_query_in_test"
    )


def test_only_content_counts(tmp_path: Path) -> None:
    one = load(config(write(tmp_path / "one")), tmp_path / "cache")
    moved = load(config(write(tmp_path / "two")), tmp_path / "cache")
    assert moved.fingerprint == one.fingerprint
    assert len(list((tmp_path / "cache" / "dataset").glob("[!.]*"))) == 1

    graded = write(tmp_path / "three", test=tsv([("q1", "d1", 1), ("q1", "d2", 1)]))
    assert load(config(graded), tmp_path / "cache").fingerprint != one.fingerprint


def test_judged_irrelevant_once_and_never_what_is_relevant(tmp_path: Path) -> None:
    path = write(tmp_path / "in", test=tsv([*TEST, ("q1", "d3", 0), ("q1", "d2", 0)]))
    dataset = load(config(path), tmp_path / "cache")
    assert dataset.test.irrelevant == {"q1": ["d3"]}
    plain = load(config(write(tmp_path / "plain", test=tsv(TEST[:2]))), tmp_path / "cache")
    assert plain.test.qrels == dataset.test.qrels
    assert plain.fingerprint != dataset.fingerprint


def test_judged_irrelevant_passages_stay_in_a_limited_corpus_where_there_is_room(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "in", train="", dev="")
    dataset = load(config(path, max_corpus=3), tmp_path / "cache")
    assert set(dataset.corpus) == {"d1", "d2", "d3"}
    assert dataset.test.irrelevant == {"q1": ["d3"]}
    smaller = load(config(path, max_corpus=2), tmp_path / "cache")
    assert smaller.test == QuerySet(dataset.test.queries, dataset.test.qrels)


def numbered(count: int, prefix: str) -> list[dict[str, str]]:
    return [{"_id": f"{prefix}{n}", "text": f"{prefix} number {n}"} for n in range(count)]


def many(root: Path, **changed: str) -> Path:
    """30 passages, 30 queries; 10 of test, 20 of train, each with its own passage."""
    rows = [(f"q{n}", f"d{n}", 1) for n in range(30)]
    files = {
        "corpus": jsonl(numbered(30, "d")),
        "queries": jsonl(numbered(30, "q")),
        "test": tsv(rows[:10]),
        "train": tsv(rows[10:]),
        "dev": "",
    }
    return write(root, **{**files, **changed})


def test_dev_queries_are_drawn_from_training(tmp_path: Path) -> None:
    path = many(tmp_path / "in")
    dataset = load(config(path, max_dev_queries=3), tmp_path / "cache")
    assert (len(dataset.train), len(dataset.dev), len(dataset.test)) == (17, 3, 10)
    assert not dataset.dev.queries.keys() & dataset.train.queries.keys()

    # at most every fifth, so that a small training set is not used up
    dataset = load(config(path, max_dev_queries=200), tmp_path / "cache")
    assert (len(dataset.train), len(dataset.dev)) == (16, 4)


@pytest.mark.parametrize("disjoint", ["query", "passage"])
def test_drawn_dev_queries_share_no_passage_with_training(tmp_path: Path, disjoint: str) -> None:
    pairs = [(f"q{n}", f"d{n - n % 2}", 1) for n in range(10, 30)]  # two queries for a passage
    folder = many(tmp_path / "in", train=tsv(pairs))
    dataset = load(config(folder, disjoint=disjoint), tmp_path / "cache")
    assert (len(dataset.train), len(dataset.dev)) == (16, 4)
    of_dev, of_train = (relevant_ids(split) for split in (dataset.dev, dataset.train))
    assert (len(of_dev), len(of_train)) == (2, 8)
    assert not of_dev & of_train
    assert not dataset.dropped

    # Queries that all share one passage can't be divided.
    folder = many(tmp_path / "one", train=tsv([(f"q{n}", "d10", 1) for n in range(10, 20)]))
    dataset = load(config(folder, disjoint=disjoint), tmp_path / "cache")
    assert (len(dataset.train), len(dataset.dev)) == (10, 0)


def test_without_training_there_is_no_dev(tmp_path: Path) -> None:
    dataset = load(config(many(tmp_path / "in", train="")), tmp_path / "cache")
    assert (len(dataset.train), len(dataset.dev), len(dataset.test)) == (0, 0, 10)


def test_limits(tmp_path: Path) -> None:
    path = many(tmp_path / "in")
    limits = {"max_eval_queries": 4, "max_train_queries": 5, "max_dev_queries": 2}
    dataset = load(config(path, **limits, max_corpus=15), tmp_path / "cache")
    assert (len(dataset.train), len(dataset.dev), len(dataset.test)) == (5, 2, 4)
    assert len(dataset.corpus) == 15
    for split in (dataset.train, dataset.dev, dataset.test):
        assert all(doc_id in dataset.corpus for docs in split.qrels.values() for doc_id in docs)

    whole = load(config(path, max_dev_queries=2), tmp_path / "cache")
    assert list(dataset.test.queries) == list(whole.test.queries)[:4]
    with pytest.raises(InputError, match=r"^dataset\.max_corpus=10: .* 11 relevant"):
        load(config(path, **limits, max_corpus=10), tmp_path / "cache")


def test_empty_texts_are_left_out_and_counted(tmp_path: Path) -> None:
    corpus = jsonl([*CORPUS, {"_id": "blank", "title": "", "text": " "}])
    queries = jsonl([*QUERIES, {"_id": "void", "text": ""}])
    test = tsv([*TEST, ("q1", "blank", 1), ("void", "d1", 1)])
    path = write(tmp_path / "in", corpus=corpus, queries=queries, test=test)

    dataset = load(config(path), tmp_path / "cache")

    assert dataset.test.qrels == {"q1": {"d1": 2, "d2": 1}}
    assert "blank" not in dataset.corpus
    counts = {"empty_passage": 1, "empty_query": 1, "judgment_of_empty_text": 2}
    assert counts.items() <= dataset.dropped.items()


def test_a_score_may_be_written_as_a_float(tmp_path: Path) -> None:
    path = write(tmp_path / "in", test=tsv(TEST).replace("\n", ".0\n").replace("score.0", "score"))
    dataset = load(config(path), tmp_path / "cache")
    assert dataset.test.qrels == {"q1": {"d1": 2, "d2": 1}}


def test_byte_order_mark_windows_line_ends_and_blank_lines(tmp_path: Path) -> None:
    path = write(
        tmp_path / "in",
        corpus="\ufeff" + jsonl(CORPUS).replace("\n", "\r\n\r\n"),
        test=tsv(TEST).replace("\n", "\r\n"),
    )
    plain = load(config(write(tmp_path / "plain")), tmp_path / "cache")
    assert load(config(path), tmp_path / "cache").fingerprint == plain.fingerprint


def real(name: str, cache: Path) -> Dataset:
    if not (SHARED / name).is_dir():
        pytest.skip(f"{SHARED / name} is not on this machine")
    return load(BeirConfig(name=name, path=str(SHARED / name), disjoint="passage"), cache)


def texts(dataset: Dataset, split: str) -> tuple[set[str], set[str]]:
    chosen = getattr(dataset, split)
    passages = {doc_id for docs in chosen.qrels.values() for doc_id in docs}
    return (
        {bare(text) for text in chosen.queries.values()},
        {bare(dataset.corpus[doc_id]) for doc_id in passages},
    )


def test_medquad(tmp_path: Path) -> None:
    dataset = real("medquad", tmp_path)

    assert (len(dataset.corpus), len(dataset.dev), len(dataset.test)) == (15808, 200, 2000)
    assert len(dataset.train) > 10_000
    assert max(len(docs) for docs in dataset.test.qrels.values()) > 1
    found = {split: texts(dataset, split) for split in ("train", "dev", "test")}
    for one, other in (("train", "dev"), ("train", "test"), ("dev", "test")):
        assert not found[one][0] & found[other][0]
        assert not found[one][1] & found[other][1]
