"""CSV and TSV as spreadsheets save them, and quotes that swallow rows."""

import codecs
import gzip
import io
from pathlib import Path

import pytest

from pipeline.audit import audit
from pipeline.config.datasets import ColumnsConfig, LabelledConfig
from pipeline.data.labelled.rows import LabelledRow, read_rows
from pipeline.data.readers.lines import text_lines
from pipeline.data.readers.tables import Fault
from pipeline.records import InputError
from pipeline.rerankers.requests import read_requests
from tests.data import beir_folder
from tests.points import load

TEXT = 'query;text;label\r\nwhat is é;"A; ""quoted"", text";1\r\nb;c,d;0\r\n'
ROWS = [("what is é", 'A; "quoted", text', 1), ("b", "c,d", 0)]


def read(path: Path) -> list[LabelledRow | Fault]:
    return list(read_rows(path, ColumnsConfig()))


def plain(path: Path) -> list[tuple[str, str, int]]:
    rows = [row for row in read(path) if isinstance(row, LabelledRow)]
    return [(row.query, row.text, row.label) for row in rows]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz"])
def test_semicolons_and_utf_16(name: str, encoding: str, tmp_path: Path) -> None:
    marks = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
    data = marks.get(encoding, b"") + TEXT.encode(encoding)
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    assert plain(tmp_path / name) == ROWS


@pytest.mark.parametrize("delimiter", [",", "\t", "|", ";"])
def test_excels_own_line_and_other_separators(delimiter: str, tmp_path: Path) -> None:
    lines = [delimiter.join(cells) for cells in (("query", "text", "label"), ("a", "b", "1"))]
    for start in ("", f"sep={delimiter}\r\n", "\r\n"):
        (tmp_path / "a.csv").write_text(start + "\r\n".join(lines) + "\r\n")
        (row,) = read(tmp_path / "a.csv")
        assert isinstance(row, LabelledRow) and (row.query, row.text, row.label) == ("a", "b", 1)
        assert row.line == (3 if start else 2)


def test_json_lines_and_beir_in_utf_16(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes('{"query": "é", "text": "b", "label": 1}\n'.encode("utf-16"))
    assert plain(tmp_path / "a.jsonl") == [("é", "b", 1)]

    folder = beir_folder.write(tmp_path / "in")
    before = load(beir_folder.config(folder), tmp_path / "cache").fingerprint
    for path in folder.rglob("*.*"):
        path.write_bytes(path.read_text(encoding="utf-8").encode("utf-16"))
    assert load(beir_folder.config(folder), tmp_path / "cache").fingerprint == before


def test_utf_16_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("query,text,label\n".encode("utf-16-le"))
    with pytest.raises(InputError, match=r"a\.csv: zero bytes, .* save it as UTF-8"):
        read(path)
    path.write_bytes("query,text,label\n".encode("utf-16") + b"\x00")
    with pytest.raises(InputError, match=r"a\.csv: broken UTF-16"):
        read(path)


def test_a_broken_header_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('"query"x,text,label\na,b,1\nc,d,0\n')
    with pytest.raises(InputError, match=r"a\.csv:1: the header can't be read: broken row"):
        read(tmp_path / "a.csv")


def test_a_quote_that_swallows_a_row_of_tsv(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text('query\ttext\tlabel\na\tb\t1\n"c\td\t1\ne"\tf\t0\ng\th\t1\n')
    first, fault, last = read(path)
    assert isinstance(fault, Fault) and (fault.line, fault.kind) == (3, "broken_csv")
    assert "closes on line 4" in fault.problem
    assert isinstance(first, LabelledRow) and isinstance(last, LabelledRow)
    assert (first.line, last.line) == (2, 5)


def test_a_quote_that_swallows_a_row_of_csv_is_a_warning(tmp_path: Path) -> None:
    head = "query,text,label\n"
    several = 'a,"two lines,\nof a text",1\nb,"one, two\nx, y, 3\nthree, four",0\n'
    (tmp_path / "fine.csv").write_text(head + several)
    assert all(isinstance(row, LabelledRow) for row in read(tmp_path / "fine.csv"))

    path = tmp_path / "pairs.csv"
    rows = "".join(f"q{n},t{n},1\n" for n in range(20))
    path.write_text(head + several + '"c,d,1\ne,f,0\ng",h,0\n' + rows)
    suspect = [row for row in read(path) if isinstance(row, Fault)]
    assert [(fault.line, fault.kind) for fault in suspect] == [(7, "row_in_quotes")]
    assert "closes on line 9" in suspect[0].problem

    finding = next(f for f in audit(path, base=None).findings if f.kind == "row_in_quotes")
    assert (finding.severity, finding.count) == ("warning", 1)
    assert "line 7" in finding.examples[0]
    config = LabelledConfig(name="own", path=str(path), max_dev_queries=0)
    assert load(config, tmp_path / "cache").dropped["row_in_quotes"] == 1


def test_standard_input_may_have_a_byte_order_mark() -> None:
    line = '{"query": "é", "documents": ["b"]}\r\n'
    for encoding in ("utf-8-sig", "utf-16"):
        data = (line + line).encode(encoding)
        requests = read_requests(text_lines(io.BytesIO(data), "stdin"), "stdin")
        assert [request["query"] for request in requests] == ["é", "é"]
    with pytest.raises(InputError, match=r"^stdin:2: not UTF-8"):
        list(text_lines(io.BytesIO(b"{}\n\xe9\n"), "stdin"))
