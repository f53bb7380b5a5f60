import json
import os
from collections import Counter
from pathlib import Path

import pytest

from pipeline.config.datasets import ColumnsConfig
from tests.data.labelled.labelled_file import Row, assert_no_leaks, made, pairs, splits, write

CHECKOUT = Path(__file__).parents[3]
SHARED = Path(os.environ.get("SHARED_DATA", CHECKOUT.parent / "shared" / "data"))


def test_the_split_repeats_and_the_seed_changes_it(tmp_path: Path) -> None:
    one = made(write(tmp_path / "one" / "a.csv", pairs()))
    again = made(write(tmp_path / "two" / "a.csv", pairs()))
    assert again.fingerprint == one.fingerprint
    assert made(tmp_path / "one" / "a.csv", seed=1).test.queries != one.test.queries


def test_a_renamed_file_is_not_read_again(tmp_path: Path) -> None:
    path = write(tmp_path / "pairs.csv", pairs())
    before = made(path).fingerprint
    for name in ("pairs.v2.csv", "PAIRS.CSV"):
        path = path.rename(tmp_path / name)
        assert made(path).fingerprint == before
    assert len(list((tmp_path / "cache" / "dataset").glob("[!.]*"))) == 1


def test_every_split_has_the_same_mix_of_labels(tmp_path: Path) -> None:
    dataset = made(write(tmp_path / "a.csv", pairs()), test_share=0.5, dev_share=0.2)
    found = {}
    for name, split in splits(dataset).items():
        found[name] = Counter(gain for gains in split.qrels.values() for gain in gains.values())
        found[name][0] = sum(map(len, split.irrelevant.values()))
    # of 30 queries 15 are test, of the others 3 dev; a third of each has the gains 2 and 1
    assert found == {
        "test": {0: 15, 1: 15, 2: 5},
        "dev": {0: 3, 1: 3, 2: 1},
        "train": {0: 12, 1: 12, 2: 4},
    }


def test_folds_part_the_queries(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", pairs())
    folds = [made(path, folds=5, fold=fold) for fold in range(5)]
    tested = [text for fold in folds for text in fold.test.queries.values()]
    assert sorted(tested) == sorted({str(row["query"]) for row in pairs()})
    for fold in folds:
        assert (len(fold.train), len(fold.dev), len(fold.test)) == (22, 2, 6)
        assert_no_leaks(fold)


def test_the_order_of_the_rows_does_not_change_the_split(tmp_path: Path) -> None:
    """Each passage answers two queries, which stay together."""
    rows: list[Row] = [
        {"query": f"{letter} question {n}", "text": f"answer {n}", "label": 1}
        for n in range(60)
        for letter in "ab"
    ]
    mixed = [rows[(7 * n) % len(rows)] for n in range(len(rows))]
    first, other = (made(write(tmp_path / f"{i}.csv", r)) for i, r in enumerate((rows, mixed)))
    for split, queries in splits(first).items():
        assert queries.queries.values()
        assert set(queries.queries.values()) == set(splits(other)[split].queries.values())


LONG = "how do i reset the password of my online account on the new web site today"


@pytest.mark.parametrize("bond", ["near", "equal", "group", "passage"])
def test_what_belongs_together_stays_together(bond: str, tmp_path: Path) -> None:
    rows = [dict(row) for row in pairs()]
    queries = {"near": (LONG, f"{LONG} please"), "equal": ("Who?", "who")}.get(bond, ("A?", "B?"))
    passages = ("The same.", "the SAME") if bond == "passage" else ("One.", "Two.")
    for n, (query, text) in enumerate(zip(queries, passages, strict=True)):
        group = "g" if bond == "group" else ""
        own = {"query": query, "text": text, "label": 1, "query_id": f"x{n}", "doc_id": f"y{n}"}
        rows.append({**own, "group": group})
    blank = dict.fromkeys(("query_id", "doc_id", "group"), "")
    path = write(tmp_path / "a.csv", [{**blank, **row} for row in rows])
    for seed in range(8):
        dataset = made(path, seed=seed, test_share=0.5, dev_share=0.4)
        homes = {
            name for name, split in splits(dataset).items() if split.queries.keys() & {"x0", "x1"}
        }
        assert len(homes) == 1
        assert_no_leaks(dataset)
    if bond == "near":
        apart = [made(path, seed=seed, near_duplicate=None, test_share=0.5) for seed in range(8)]
        assert any("x0" in d.test.queries and "x1" not in d.test.queries for d in apart)


def given_rows() -> list[Row]:
    def row(split: str, query: str, text: str, label: int = 1) -> Row:
        return {"query": query, "text": text, "label": label, "split": split}

    return [
        row("train", "When do owls hunt?", "At night."),
        row("train", "Who barks?", "Dogs bark."),
        row("train", "Who barks?", "Cats bark.", 0),
        row("train", "Who barks?", "They sleep.", 0),
        row("train", "Who dances?", "BEES DANCE"),
        row("Validation", "Do they dance?", "Bees dance."),
        row("test", "when do OWLS hunt?", "They sleep."),
    ]


def test_a_given_split_is_respected_and_leaks_leave_it(tmp_path: Path) -> None:
    dataset = made(write(tmp_path / "a.csv", given_rows()), disjoint="passage")

    assert {name: list(split.queries.values()) for name, split in splits(dataset).items()} == {
        "train": ["Who barks?"],
        "dev": ["Do they dance?"],
        "test": ["When do owls hunt?"],  # the same text is the same query
    }
    (irrelevant,) = dataset.train.irrelevant.values()
    assert [dataset.corpus[d] for d in irrelevant] == ["Cats bark."]
    assert dataset.dropped == {
        "train_query_in_test": 1,
        "train_passage_in_dev": 1,
        "train_query_left_empty": 1,
        "train_irrelevant_in_test": 1,
        "merged_query": 1,
    }
    assert_no_leaks(dataset)


def test_dev_is_drawn_from_the_given_train(tmp_path: Path) -> None:
    rows = [{**row, "split": "test" if "yak" in str(row["query"]) else "train"} for row in pairs()]
    dataset = made(write(tmp_path / "a.jsonl", rows), dev_share=0.3)
    assert (len(dataset.train), len(dataset.dev), len(dataset.test)) == (19, 8, 3)
    assert all("yak" in text for text in dataset.test.queries.values())
    limited = made(tmp_path / "a.jsonl", dev_share=0.3, max_dev_queries=2)
    assert (len(limited.train), len(limited.dev)) == (25, 2)  # what dev may not take, train keeps
    ignored = made(tmp_path / "a.jsonl", columns=ColumnsConfig(split="none"))
    assert len(ignored.test) == 6


def test_limits(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", pairs())
    few = made(path, max_train_queries=5, max_dev_queries=1, max_eval_queries=2, max_corpus=12)
    assert (len(few.train), len(few.dev), len(few.test), len(few.corpus)) == (5, 1, 2, 12)
    judged = {d for split in splits(few).values() for ids in split.irrelevant.values() for d in ids}
    assert judged
    assert judged <= set(few.corpus)


def test_medquad_as_csv(tmp_path: Path) -> None:
    """The first 600 questions: templated, so near duplicates and shared answers abound."""
    if not (SHARED / "medquad").is_dir():
        pytest.skip(f"{SHARED / 'medquad'} is not on this machine")

    def texts(name: str) -> dict[str, str]:
        with (SHARED / "medquad" / name).open(encoding="utf-8") as file:
            return {row["_id"]: row["text"] for row in map(json.loads, file)}

    queries, passages = texts("queries.jsonl"), texts("corpus.jsonl")
    judged = [
        line.split("\t")
        for split in ("train", "test")
        for line in (SHARED / "medquad/qrels" / f"{split}.tsv").read_text().splitlines()[1:]
    ]
    chosen = sorted({query_id for query_id, *_ in judged})[:600]
    rows = [
        {"query": queries[q], "document_text": passages[d], "score": score}
        for q, d, score in judged
        if q in set(chosen)
    ]
    dataset = made(write(tmp_path / "medquad.csv", rows))
    assert_no_leaks(dataset)
    count = sum(map(len, splits(dataset).values()))
    assert count == 600
    assert abs(len(dataset.test) - 120) <= 6
    assert abs(len(dataset.dev) - 48) <= 3
