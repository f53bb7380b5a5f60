import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.config.datasets import ColumnsConfig
from pipeline.data.labelled.rows import LabelledRow, read_rows
from pipeline.data.readers.tables import Fault
from pipeline.records import InputError
from tests.data.labelled.labelled_file import break_page, write

ROWS = [
    {"query": "what is gout", "text": "Gout is a form of arthritis.", "label": 2},
    {"query": "what is gout", "text": 'An "unrelated", text', "label": 0},
    {"query": "日本", "text": "Ünïcode 😀", "label": 1},
]


def read(path: Path, **columns: str) -> list[LabelledRow | Fault]:
    return list(read_rows(path, ColumnsConfig(**columns)))


def written(path: Path, *lines: object) -> Path:
    path.write_text("".join(f"{x if isinstance(x, str) else json.dumps(x)}\n" for x in lines))
    return path


def kinds(found: list[LabelledRow | Fault]) -> dict[int, str]:
    return {row.line: row.kind for row in found if isinstance(row, Fault)}


def plain(found: list[LabelledRow | Fault]) -> list[dict[str, object]]:
    rows = [row for row in found if isinstance(row, LabelledRow)]
    assert len(rows) == len(found)
    return [{"query": r.query, "text": r.text, "label": r.label} for r in rows]


def as_csv(separator: str) -> str:
    lines = [separator.join(("query", "text", "label"))]
    for row in ROWS:
        quoted = str(row["text"]).replace('"', '""')
        lines.append(separator.join((str(row["query"]), f'"{quoted}"', str(row["label"]))))
    return "\n".join(lines) + "\n"


def test_every_format_gives_the_same_rows(tmp_path: Path) -> None:
    jsonl = written(tmp_path / "a.jsonl", *ROWS)
    csv, tsv = tmp_path / "a.csv", tmp_path / "a.tsv"
    csv.write_text("\ufeff" + as_csv(","), encoding="utf-8")  # as a spreadsheet saves it
    tsv.write_text(as_csv("\t"), encoding="utf-8")
    parquet = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist(ROWS), parquet, row_group_size=2)
    for path in (jsonl, csv, tsv):
        zipped = path.with_name(f"{path.name}.gz")
        zipped.write_bytes(gzip.compress(path.read_bytes()))
        assert plain(read(path)) == plain(read(zipped)) == ROWS
    assert plain(read(parquet)) == ROWS

    assert [row.line for row in read(jsonl)] == [1, 2, 3]
    assert [row.line for row in read(csv)] == [2, 3, 4]
    assert [row.line for row in read(parquet)] == [1, 2, 3]


def test_ids_split_and_group(tmp_path: Path) -> None:
    row = {**ROWS[0], "query_id": 7, "doc_id": "d1", "split": "test", "group": " ", "more": [1]}
    (found,) = read(written(tmp_path / "a.jsonl", row))
    assert found == LabelledRow(1, "what is gout", str(row["text"]), 2, "7", "d1", "test", None)


@pytest.mark.parametrize("text", ["document_text", "passage", "document"])
@pytest.mark.parametrize("label", ["score", "relevance"])
def test_usual_names_are_found(tmp_path: Path, text: str, label: str) -> None:
    path = written(tmp_path / "a.jsonl", {"question": "q", text: "t", label: 3})
    assert plain(read(path)) == [{"query": "q", "text": "t", "label": 3}]


def test_the_configured_name_comes_first(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", {"query": "q", "text": "no", "body": "yes", "label": 1})
    assert plain(read(path, text="body"))[0]["text"] == "yes"


def test_pairs_triplets_and_n_tuples(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a.jsonl",
        {"anchor": "a", "positive": "p"},
        {"question": "b", "answer": "p", "query_id": "q1"},
        {"query": "c", "positive": "p", "negative": "n"},
        {"sentence1": "d", "positive": "p", "negative_1": "n1", "negative_2": "n2"},
        {"anchor": "e", "positive": "p", "negative_1": "n1", "negative_2": None},
    )
    found = [row for row in read(path) if isinstance(row, LabelledRow)]
    assert [(r.line, r.query, r.text, r.label) for r in found] == [
        (1, "a", "p", 1),
        (2, "b", "p", 1),
        (3, "c", "p", 1),
        (3, "c", "n", 0),
        (4, "d", "p", 1),
        (4, "d", "n1", 0),
        (4, "d", "n2", 0),
        (5, "e", "p", 1),
        (5, "e", "n1", 0),
    ]
    assert found[1].query_id == "q1"
    assert not any(row.label_given for row in found)


@pytest.mark.parametrize("label", [1, 1.0, "1", "1.0", " 1 ", "+1", True])
def test_whole_labels_however_written(tmp_path: Path, label: object) -> None:
    (row,) = read(written(tmp_path / "a.jsonl", {**ROWS[0], "label": label}))
    assert isinstance(row, LabelledRow) and row.label == 1


def test_every_fault_of_a_json_line_is_named_and_the_next_line_read(tmp_path: Path) -> None:
    good = json.dumps(ROWS[2]).encode()
    bad: dict[str, list[bytes]] = {
        "broken_json": [b'{"query": "a", "text', b"[1, 2]", b"[" * 100_000],
        "not_utf8": [b'{"query": "a", "text": "caf\xe9", "label": 1}'],
        "missing_column": [b'{"query": "a", "txet": "b", "label": 1}', b"{}"],
        "not_text": [b'{"query": "a", "text": 5, "label": 1}'],
        "bad_label": [
            b'{"query": "a", "text": "b", "label": %s}' % label
            for label in (
                *(b"0.5", b'"yes"', b"null", b"NaN", b"1e999", b"[1]"),
                *(b'"1_0"', '"٣"'.encode(), b"2147483648", b"1e16", b'"%s"' % (b"9" * 5000)),
            )
        ],
        "negative_label": [b'{"query": "a", "text": "b", "label": -1}'],
        "empty_query": [b'{"query": " ", "text": "b", "label": 1}'],
        "empty_text": [
            b'{"query": "a", "text": "\\n", "label": 1}',
            b'{"query": "a", "text": null, "label": 1}',
        ],
    }
    bad["not_utf8"].append(b'{"query": "a", "text": "\\ud800", "label": 1}')
    lines, expected = [good], {}
    for kind, examples in bad.items():
        for example in examples:
            lines += [example, b"", good]
            expected[len(lines) - 2] = kind
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join(lines))
    found = read(path)
    assert kinds(found) == expected
    assert len(found) - len(expected) == len(expected) + 1
    assert 'no column "text" for the text; there are query, txet, label' in next(
        row.problem for row in found if isinstance(row, Fault) and row.kind == "missing_column"
    )


def test_every_fault_of_a_csv_line_is_named_and_the_next_line_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(
        b"query,text,label\n"
        b'a,"two\nlines",1\n'  # lines 2 and 3
        b"a,caf\xe9,1\n"
        b"a,b,c,1\n"
        b"\n"
        b'a,"b"c,1\n'
        b"a,,1\n"
        b"a,b,-2\n"
        b"a,b,1\n"
        b'a,"never closed,1\n'
        b"a,b,1\n"
    )
    found = read(path)
    assert kinds(found) == {
        4: "not_utf8",
        5: "broken_csv",
        7: "broken_csv",
        8: "empty_text",
        9: "negative_label",
        11: "broken_csv",
    }
    assert [row.line for row in found if isinstance(row, LabelledRow)] == [2, 10]


def test_parquet_strings_that_are_not_utf8(tmp_path: Path) -> None:
    raw = pa.array([b"fine", b"caf\xe9"], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 2, raw.buffers())
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"query": ["a", "b"], "text": text, "label": [1, 0]}), path)
    found = read(path)
    assert isinstance(found[0], LabelledRow)
    assert kinds(found) == {2: "not_utf8"}


# The content is part of a test's name, and every test process must find the same names:
# hence gzip without its time stamp.
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"x", ".jsonl"),
        ("a.jsonl", b"\n", "no rows"),
        ("a.csv", b"query,text,label\n", "no rows"),
        (
            "a.csv",
            b"query,body,label\na,b,1\n",
            'no column "text" for the text; there are query, '
            "body, label; name it: dataset.columns.text=...",
        ),
        (
            "a.csv",
            b'"query;text;label"\n"a;b;1"\n',
            'a.csv: one column, "query;text;label": .csv needs commas between columns, .tsv tabs',
        ),
        ("a.csv", b"caf\xe9,text,label\na,b,1\n", "a.csv:1: not UTF-8"),
        ("a.tsv", b"text\tlabel\nb\t1\n", "dataset.columns.query=..."),
        ("a.jsonl", b'{"query": "a", "text": "b"}\n', "dataset.columns.label=..."),
        ("a.jsonl.gz", b"no gzip", "broken gzip file"),
        ("a.jsonl.gz", gzip.compress(b'{"query": 1}\n' * 999, mtime=0)[:30], "broken gzip file"),
        ("a.parquet", b"no parquet", "not a Parquet file"),
        (
            "a.csv",
            b"query,text,label\ra,b,1\r",
            "a.csv:1: the header can't be read; end every line",
        ),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        read(path)
    assert message in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_broken_page_of_parquet(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", ROWS)
    path.write_bytes(break_page(path.read_bytes()))
    with pytest.raises(InputError, match=r"a\.parquet: not a Parquet file, or a broken one"):
        read(path)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "a.csv")
    with pytest.raises(InputError, match="is a folder; name a file in it"):
        read(tmp_path)
