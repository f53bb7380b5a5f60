from pathlib import Path

import pytest

from pipeline.config.datasets import ColumnsConfig
from pipeline.records import InputError
from tests.data.labelled.labelled_file import (
    NAMES,
    Row,
    assert_no_leaks,
    made,
    pairs,
    splits,
    write,
)


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".tsv", ".parquet"])
def test_the_format_changes_nothing(suffix: str, tmp_path: Path) -> None:
    expected = made(write(tmp_path / "a.csv", pairs()))
    assert made(write(tmp_path / f"b{suffix}", pairs())).fingerprint == expected.fingerprint
    assert (len(expected.train), len(expected.dev), len(expected.test)) == (22, 2, 6)
    assert len(expected.corpus) == 70
    assert expected.train_corpus is expected.corpus
    assert not expected.dropped
    assert_no_leaks(expected)


def test_grades_and_judged_irrelevant_passages(tmp_path: Path) -> None:
    dataset = made(write(tmp_path / "a.csv", pairs()))
    for split in splits(dataset).values():
        for query_id, query in split.queries.items():
            name, verb = query.removesuffix("?").split()[3:]
            gains = {dataset.corpus[d]: gain for d, gain in split.qrels[query_id].items()}
            irrelevant = [dataset.corpus[d] for d in split.irrelevant[query_id]]
            also = {f"{name} also: {verb}": 1} if verb == "eat" else {}
            assert gains == {f"{name} answer: {verb}": 2 if also else 1, **also}
            assert irrelevant == [f"{NAMES[(NAMES.index(name) + 1) % 10]} hint: {verb}"]


def test_pairs_triplets_and_tuples(tmp_path: Path) -> None:
    rows = [
        {"anchor": f"{n}?", "positive": f"yes {n}", "negative_1": f"no {n}", "negative_2": "never"}
        for n in range(10)
    ]
    dataset = made(write(tmp_path / "a.jsonl", rows), dev_share=0)
    assert (len(dataset.train), len(dataset.dev), len(dataset.test)) == (8, 0, 2)
    for split in (dataset.train, dataset.test):
        for query_id, query in split.queries.items():
            n = query.removesuffix("?")
            assert [dataset.corpus[d] for d in split.qrels[query_id]] == [f"yes {n}"]
            assert [dataset.corpus[d] for d in split.irrelevant[query_id]] == [f"no {n}", "never"]
    plain = [{"question": row["anchor"], "answer": row["positive"]} for row in rows]
    assert made(write(tmp_path / "b.csv", plain)).test.irrelevant == {}


def test_columns_by_name(tmp_path: Path) -> None:
    names = {"query": "q", "text": "content", "label": "stars"}
    rows = [{names[key]: value for key, value in row.items()} for row in pairs()]
    with pytest.raises(InputError, match=r"a\.csv: no column .* dataset\.columns\.query="):
        made(write(tmp_path / "a.csv", rows))
    columns = ColumnsConfig(query="q", text="content", label="stars")
    named = made(tmp_path / "a.csv", columns=columns)
    assert named.fingerprint == made(write(tmp_path / "b.csv", pairs())).fingerprint


def test_what_is_dropped_is_counted(tmp_path: Path) -> None:
    rows = [
        *pairs(),
        {"query": "what does the  OWL eat?", "text": "Owl answer: eat", "label": 2},  # again
        {"query": "What does the bee eat?", "text": "bee answer: eat", "label": 0},  # it was 2
        {"query": "What does the fox eat?", "text": "hen hint: eat", "label": 3},  # it was 0
        {"query": "Nothing fits?", "text": "Alas.", "label": 0},
        {"query": " ", "text": "Text.", "label": 1},
        {"query": "Query?", "text": "", "label": 1},
    ]
    dataset = made(write(tmp_path / "a.csv", rows))
    assert dataset.dropped == {
        "repeated_pair": 1,
        "merged_query": 1,
        "merged_passage": 1,
        "conflicting_label": 2,
        "query_without_relevant": 1,
        "empty_query": 1,
        "empty_text": 1,
    }
    gains = {
        (split.queries[q], dataset.corpus[d]): gain
        for split in splits(dataset).values()
        for q, judged in split.qrels.items()
        for d, gain in judged.items()
    }
    assert gains["What does the bee eat?", "bee answer: eat"] == 2
    assert gains["What does the fox eat?", "hen hint: eat"] == 3
    assert "Alas." in dataset.corpus.values()


def test_the_same_text_under_another_id_conflicts_too(tmp_path: Path) -> None:
    rows = [{**row, "doc_id": None} for row in pairs()]
    rows += [
        {"query": "Who?", "text": "Me.", "label": 1, "doc_id": "a"},
        {"query": "Who?", "text": "ME.", "label": 0, "doc_id": "b"},
    ]
    dataset = made(write(tmp_path / "a.jsonl", rows))
    assert dataset.dropped == {"conflicting_label": 1}
    assert {"a", "b"} <= set(dataset.corpus)


@pytest.mark.parametrize("suffix", [".jsonl", ".tsv", ".parquet", ".csv"])
def test_a_separate_corpus_is_searched_too(suffix: str, tmp_path: Path) -> None:
    name = "_id" if suffix == ".jsonl" else "id"
    corpus: list[Row] = [
        {name: "c1", "title": "Owl", "text": "answer: eat"},
        {name: "c2", "title": "", "text": "bee answer: eat"},
        {name: "c3", "title": "", "text": "Nobody asks."},
        {name: "c4", "title": "", "text": " "},
        {name: "c2", "title": "", "text": "Bee answer: eat"},
    ]
    path = write(tmp_path / "a.csv", [{**row, "doc_id": ""} for row in pairs()])
    dataset = made(path, corpus=str(write(tmp_path / f"corpus{suffix}", corpus)))

    assert list(dataset.corpus)[:3] == ["c1", "c2", "c3"]
    assert dataset.corpus["c1"] == "Owl answer: eat"
    assert len(dataset.corpus) == 71
    # Other spellings: "Bee answer: eat" in the corpus, "owl answer: eat" in the pairs.
    merged = {"merged_passage": 2}
    assert dataset.dropped == {"empty_passage": 1, "repeated_passage": 1} | merged
    relevant = {d for split in splits(dataset).values() for g in split.qrels.values() for d in g}
    assert {"c1", "c2"} <= relevant


HEAD = "query,text,label"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([HEAD, "a,b,1", "a,c,-1"], 'a.csv:3: "label" is -1; labels start at 0'),
        ([HEAD, '"two', 'lines",b,1', "a,c,good"], "a.csv:4: \"label\" is 'good', not a whole"),
        ([HEAD, "a,b,1", "a,c"], "a.csv:3: 2 columns instead of 3"),
        ([HEAD, "a,b,1", "a,\udcff,1"], 'a.csv:3: "text" is not UTF-8'),
        (["query,text", "a,b"], 'a.csv: no column "label" for the label'),
        (
            [f"{HEAD},doc_id", "a,One.,1,d1", "b,ONE.,1,d1", "c,Two.,1,d1"],
            'a.csv:4: the doc_id "d1" has another text than on line 2; give another id, or the '
            "same text",
        ),
        (
            [f"{HEAD},query_id", "a,b,1,q", "c,d,1,q"],
            'a.csv:3: the query_id "q" has another text than on line 2',
        ),
        (
            [f"{HEAD},query_id", "a,b,1,", "a,c,1,q", "c,d,1,q"],
            'a.csv:4: the query_id "q" has another text than on line 3',
        ),
        (
            [f"{HEAD},split", "a,b,1,train", "c,d,1,tset"],
            'a.csv:3: the split "tset" is none of train, test, dev, validation, val',
        ),
        (
            [f"{HEAD},split", "a,b,1,train", "c,d,1,"],
            "a.csv:3: no split, but the lines above have one; fill in all or none",
        ),
        (
            [f"{HEAD},split", "a,b,1,", "c,d,1,test"],
            'a.csv:3: the split "test", but the lines above have none; fill in all or none',
        ),
        (
            [f"{HEAD},split", "a,b,1,train"],
            "a.csv: no test query with a relevant passage, but a column split; mark "
            "some rows as test, or leave the column split out with dataset.columns.split=none",
        ),
        ([HEAD, "a,b,0", "a,,1"], "a.csv: no query has a passage with a label above 0"),
        (
            [HEAD, "a,b,1", "c,b,1"],
            "dataset.test_share=0.2: the 2 queries with a relevant passage form only 1 groups",
        ),
    ],
)
def test_bad_input(lines: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n", errors="surrogateescape")
    with pytest.raises(InputError) as error:
        made(tmp_path / "a.csv")
    said = str(error.value)
    assert said.replace(f"{tmp_path}/", "").startswith(message)
    assert "\n" not in said
    assert not [file for file in (tmp_path / "cache").rglob("*") if file.is_file()]


def test_bad_files_and_settings(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^dataset\.path=.*/a\.csv: no such file"):
        made(tmp_path / "a.csv")
    with pytest.raises(InputError, match=r"^dataset\.path=.*: is a folder; .* dataset=beir"):
        made(tmp_path)
    path = write(tmp_path / "a.csv", [{**row, "split": "test"} for row in pairs()])
    with pytest.raises(InputError, match=r"^dataset\.folds=3: the file has splits; or leave"):
        made(path, folds=3)
    with pytest.raises(InputError, match=r"^dataset\.corpus=.*/c\.csv: no such file"):
        made(path, corpus=str(tmp_path / "c.csv"))
    corpus = write(tmp_path / "c.csv", [{"id": "1", "body": "Text."}])
    with pytest.raises(InputError, match=r'/c\.csv:2: no column "text" for the text; .* id, body'):
        made(path, corpus=str(corpus))
    corpus = write(tmp_path / "c.csv", [{"id": "1", "text": "x"}, {"id": "1", "text": "y"}])
    with pytest.raises(InputError, match=r'/c\.csv:3: the doc_id "1" has another .* on line 2'):
        made(path, corpus=str(corpus))
    path = write(tmp_path / "b.csv", [{"query": "a", "text": "z", "label": 1, "doc_id": "1"}])
    write(corpus, [{"id": "1", "text": "x"}])
    with pytest.raises(InputError, match=r'/b\.csv:2: the doc_id "1" .* than on .*/c\.csv:2'):
        made(path, corpus=str(corpus))
