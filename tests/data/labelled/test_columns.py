"""Which columns are read: named ones must exist, others are known by their usual names."""

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.audit import audit
from pipeline.config.datasets import ColumnsConfig
from pipeline.data.labelled.rows import LabelledRow, read_rows
from pipeline.records import InputError
from tests.data.labelled.labelled_file import Row, made, pairs, splits, write

ROW: Row = {"query": "q", "text": "t", "passage": "p", "label": 1, "my_split": "test"}


def read(path: Path, unread: set[str] | None = None, /, **columns: str) -> list[LabelledRow]:
    found = list(read_rows(path, ColumnsConfig(**columns), unread))
    return [row for row in found if isinstance(row, LabelledRow)]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("role", ["query", "text", "label", "query_id", "doc_id", "split", "group"])
def test_a_named_column_must_exist(role: str, suffix: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"a{suffix}", [ROW])
    with pytest.raises(InputError) as error:
        read(path, **{role: "pasage"})
    said = str(error.value)
    assert said.startswith(f'{path}: no column "pasage" for the {role}; there are query, text, ')
    assert "my_split" in said
    with pytest.raises(InputError, match='no column "pasage"'):
        audit(path, ColumnsConfig(**{role: "pasage"}))


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_two_columns_of_one_name_are_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    cells = [["q"], ["first"], ["second"], ["1"]]
    if suffix == ".parquet":
        pq.write_table(pa.table(cells, names=["query", "text", "text", "label"]), path)
        where = str(path)
    else:
        lines = [["query", "text", " text", "label"], [cell for (cell,) in cells]]
        path.write_text("\n".join({".csv": ",", ".tsv": "\t"}[suffix].join(x) for x in lines))
        where = f"{path}:1"
    expected = f'{where}: columns 2 and 3 are named "text"; rename all but one'
    for reads in (read, audit):
        with pytest.raises(InputError, match=re.escape(expected)):
            reads(path)


def test_columns_without_a_name_may_be_several(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("query,text,label,,\nq,t,1,,\n")
    assert len(read(tmp_path / "a.csv")) == 1


def test_a_named_column_that_only_some_json_lines_have(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [ROW, {**ROW, "topic": "birds"}])
    assert [row.group for row in read(path, group="topic")] == [None, "birds"]


def test_none_leaves_a_column_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [{**ROW, "split": "test"}])
    assert [row.split for row in read(path)] == ["test"]
    assert [row.split for row in read(path, split="none")] == [None]
    assert [row.split for row in read(path, split="my_split")] == ["test"]


def test_a_label_that_is_named_wrongly_makes_no_pairs(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [{"query": "q", "positive": "p", "stars": 0}])
    with pytest.raises(InputError, match='no column "star" for the label'):
        read(path, label="star")
    assert [(row.text, row.label) for row in read(path, label="stars")] == [("p", 0)]


@pytest.mark.parametrize(
    "names",
    [
        ("negative1", "negative2"),
        ("negative_1", "hard_negative"),
        ("hard_negative_1", "hard_negative_2"),
        ("neg", "neg_2"),
    ],
)
def test_negatives_by_any_usual_name(names: tuple[str, str], tmp_path: Path) -> None:
    row = {"anchor": "a", "positive": "p", names[0]: "n1", names[1]: "n2"}
    unread: set[str] = set()
    found = read(write(tmp_path / "a.csv", [row]), unread)
    assert [(r.text, r.label) for r in found] == [("p", 1), ("n1", 0), ("n2", 0)]
    assert not unread


def test_lists_of_positives_and_negatives(tmp_path: Path) -> None:
    rows: list[Row] = [
        {"query": "a", "pos": ["p1", "p2"], "neg": ["n1", "n2"]},
        {"query": "b", "positives": ["p"], "negatives": []},
    ]
    found = read(write(tmp_path / "a.jsonl", rows))
    assert [(r.query, r.text, r.label) for r in found] == [
        ("a", "p1", 1),
        ("a", "p2", 1),
        ("a", "n1", 0),
        ("a", "n2", 0),
        ("b", "p", 1),
    ]


def test_columns_that_nothing_reads_are_named(tmp_path: Path) -> None:
    harmless = write(tmp_path / "a.csv", [{**row, "source": "web"} for row in pairs()])
    finding = next(f for f in audit(harmless).findings if f.kind == "unread_columns")
    assert (finding.severity, finding.count, finding.examples) == ("info", 1, ['"source"'])

    # These look as if they should be read.
    path = write(tmp_path / "b.csv", [{**row, "negative": "x", "Split": "a"} for row in pairs()])
    finding = next(f for f in audit(path).findings if f.kind == "unread_columns")
    assert (finding.severity, finding.examples) == ("warning", ['"Split"', '"negative"'])
    read_all = audit(write(tmp_path / "c.csv", pairs()))
    assert "unread_columns" not in {f.kind for f in read_all.findings}


def test_equal_numbers_are_equal_ids_and_nan_is_missing(tmp_path: Path) -> None:
    nan = float("nan")
    rows: list[Row] = [
        {
            "query": f"Query {n}?",
            "text": f"Text {n}.",
            "label": 1.0,
            "doc_id": float(n),
            "group": nan if n % 2 else 1.0,
            "query_id": nan,
        }
        for n in range(20)
    ]
    corpus: list[Row] = [{"id": n, "text": f"Text {n}."} for n in range(20)]
    path = write(tmp_path / "a.parquet", rows)
    own = str(write(tmp_path / "corpus.jsonl", corpus))
    dataset = made(path, corpus=own, test_share=0.3)
    assert list(dataset.corpus) == [str(n) for n in range(20)]
    relevant = {
        d for part in splits(dataset).values() for docs in part.qrels.values() for d in docs
    }
    assert relevant == set(dataset.corpus)
    found = read(path)
    assert [row.group for row in found[:3]] == ["1", None, "1"]
    assert {row.query_id for row in found} == {None}

    strings = write(tmp_path / "b.csv", [{**ROW, "doc_id": "7.0"}, {**ROW, "doc_id": "1.10"}])
    assert [row.doc_id for row in read(strings)] == ["7", "1.10"]


def test_nan_in_a_text_or_label_is_an_empty_cell(tmp_path: Path) -> None:
    nan = float("nan")
    path = write(
        tmp_path / "a.jsonl", [{**ROW, "query": nan}, {**ROW, "text": nan}, {**ROW, "label": nan}]
    )
    found = list(read_rows(path, ColumnsConfig()))
    assert [getattr(fault, "kind", "") for fault in found] == [
        "empty_query",
        "empty_text",
        "bad_label",
    ]
    assert '"label" is empty' in found[2].problem  # type: ignore[union-attr]
