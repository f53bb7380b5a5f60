"""Labelled rows of a file as they stream by: JSON Lines, CSV, TSV or Parquet.

A row is ``(query, text, label)`` with optional ids, split and group, or one of
sentence-transformers' forms (anchor, positive, negatives), which gives a row per passage.
Only a batch of rows is in memory. What is wrong with one line is a ``Fault`` and the next
line follows; what is wrong with the whole file is an InputError. What a column is usually
called is accepted where the configured name is absent.
"""

import csv
import gzip
import json
import re
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple, cast

from pipeline.config import ColumnsConfig
from pipeline.records import InputError

TEXT_SUFFIXES = (".jsonl", ".ndjson", ".csv", ".tsv")
SUFFIXES = (*TEXT_SUFFIXES, *(f"{suffix}.gz" for suffix in TEXT_SUFFIXES), ".parquet")
QUERIES = ("query", "question", "anchor", "sentence1")
TEXTS = ("text", "document_text", "passage", "document", "sentence2")
LABELS = ("label", "score", "relevance")
POSITIVES = ("positive", "answer")
NEGATIVE = re.compile(r"negative(_\d+)?")
BATCH = 1024  # rows of a Parquet file read at a time
LONGEST = 10_000_000  # characters of one CSV field; a quote left open must not take all memory
SHOWN = 20  # columns named in a message
SURROGATE = re.compile("[\ud800-\udfff]")  # half a pair, or what a wrong byte was decoded to


class LabelledRow(NamedTuple):
    """A query, a passage and how relevant it is: 0 not, 1 and more relevant.

    Lines count from 1 as an editor shows them; in Parquet rows do. ``label_given`` is false
    in the form of pairs, where the column of the passage says the label.
    """

    line: int
    query: str
    text: str
    label: int
    query_id: str | None
    doc_id: str | None
    split: str | None
    group: str | None
    label_given: bool = True


class Fault(NamedTuple):
    """What is wrong with one line.

    ``kind`` is one of broken_json, broken_csv, not_utf8, missing_column, not_text, bad_label,
    negative_label, empty_query, empty_text; ``problem`` says it in words.
    """

    line: int
    kind: str
    problem: str


Record = Mapping[str, object]
Entry = tuple[int, Record | Fault]  # line and what is on it, by column


class _Layout(NamedTuple):
    """Which column plays which role; in the form of pairs there is no label."""

    query: str
    texts: list[str]  # the passage, or the positive and the negatives
    label: str | None


def read_rows(path: Path, columns: ColumnsConfig) -> Iterator[LabelledRow | Fault]:
    """The rows of a file in order, and what is wrong with its lines.

    In the form of pairs the positive has the label 1 and a negative the label 0.

    Raises:
        InputError: there is no such file, its format is unknown or broken, it has no row, or
            a needed column is nowhere in it.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    name = path.name.lower()
    if not name.endswith(SUFFIXES):
        raise InputError(f"{path}: the format is told by the name, one of {', '.join(SUFFIXES)}")
    kind = Path(name.removesuffix(".gz")).suffix
    try:
        yield from _labelled(path, READERS[kind](path), columns, uniform=kind in UNIFORM)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path}: broken gzip file ({error}); compress it again") from None


def _labelled(
    path: Path, entries: Iterable[Entry], columns: ColumnsConfig, uniform: bool
) -> Iterator[LabelledRow | Fault]:
    layouts: dict[tuple[str, ...], _Layout | str] = {}  # columns -> roles, or what is missing
    line = 0
    for line, record in entries:
        if isinstance(record, Fault):
            yield record
            continue
        names = tuple(record)
        if names not in layouts:
            layouts[names] = _layout(names, columns)
        layout = layouts[names]
        if isinstance(layout, str):
            if uniform:  # all rows have the same columns
                raise InputError(f"{path}: {layout}")
            yield Fault(line, "missing_column", layout)
        else:
            yield from _rows(line, record, layout, columns)
    if line == 0:
        raise InputError(f"{path}: no rows")
    if layouts and all(isinstance(layout, str) for layout in layouts.values()):
        raise InputError(f"{path}: {next(iter(layouts.values()))}")


def _layout(names: Collection[str], columns: ColumnsConfig) -> _Layout | str:
    """The roles of the columns, or one line that names the missing one."""
    query = _first(names, (columns.query, *QUERIES))
    label = _first(names, (columns.label, *LABELS))
    text = _first(names, (columns.text,))
    positive = _first(names, POSITIVES)
    if text is None and label is None and positive is not None:
        if query is not None:
            return _Layout(query, [positive, *filter(NEGATIVE.fullmatch, names)], None)
    else:
        text = text or _first(names, (*TEXTS, *POSITIVES))
        if query is not None and text is not None and label is not None:
            return _Layout(query, [text], label)
    roles = {"query": query, "text": text or positive, "label": label or positive}
    role = next(role for role, column in roles.items() if column is None)
    shown = ", ".join(list(names)[:SHOWN]) or "none"
    return (
        f'no column "{getattr(columns, role)}" for the {role}; there are {shown}; '
        f"name it: dataset.columns.{role}=..."
    )


def _first(names: Collection[str], wanted: Iterable[str]) -> str | None:
    return next((name for name in wanted if name in names), None)


def _rows(
    line: int, record: Record, layout: _Layout, columns: ColumnsConfig
) -> Iterator[LabelledRow | Fault]:
    query = _text(line, record, layout.query, "query")
    if isinstance(query, Fault):
        yield query
        return
    query_id, doc_id, split, group = (
        _optional(record, getattr(columns, field.name)) for field in fields(columns)[3:]
    )
    for place, column in enumerate(layout.texts):
        if place > 0 and record[column] in (None, ""):  # n-tuples may be of different lengths
            continue
        text = _text(line, record, column, "text")
        label = int(place == 0) if layout.label is None else _label(line, record, layout.label)
        if isinstance(text, Fault):
            yield text
        elif isinstance(label, Fault):
            yield label
        else:
            given = layout.label is not None
            own_id = doc_id if given else None
            yield LabelledRow(line, query, text, label, query_id, own_id, split, group, given)


def _text(line: int, record: Record, column: str, role: str) -> str | Fault:
    value = record[column]
    if value is None:
        value = ""
    if not isinstance(value, str):
        return Fault(line, "not_text", f'"{column}" must be a string, not {_json_type(value)}')
    if SURROGATE.search(value):
        return Fault(line, "not_utf8", f'"{column}" is not UTF-8; save the file as UTF-8')
    if not value.strip():
        return Fault(line, f"empty_{role}", f'"{column}" is empty')
    return value


def _json_type(value: object) -> str:
    """What JSON calls the type of a value that is no string."""
    names = {bool: "true or false", int: "a number", float: "a number", list: "a list"}
    return names.get(type(value), "an object")


def _label(line: int, record: Record, column: str) -> int | Fault:
    value = record[column]
    try:
        number = float(cast(str, value))  # "1", 1, 1.0 and true are all 1
        label = int(number)
    except (TypeError, ValueError, OverflowError):
        number, label = 0.5, 0
    if label != number:
        shown = "empty" if value in (None, "") else f"{value!r:.40}"
        return Fault(line, "bad_label", f'"{column}" is {shown}, not a whole number')
    if label < 0:
        return Fault(line, "negative_label", f'"{column}" is {label}; labels start at 0')
    return label


def _optional(record: Record, column: str) -> str | None:
    value = record.get(column)
    if value is None or isinstance(value, list | dict):
        return None
    # An id with a wrong byte still tells rows apart, and can be shown.
    return SURROGATE.sub("\ufffd", str(value)).strip() or None


def _open(path: Path) -> IO[bytes]:
    return cast(
        IO[bytes], gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")
    )


def _json_lines(path: Path) -> Iterator[Entry]:
    with _open(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                # A byte order mark is harmless at the very start.
                value = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
            except UnicodeDecodeError as error:
                problem = f"byte {error.start + 1} is not UTF-8; save the file as UTF-8"
                yield number, Fault(number, "not_utf8", problem)
            except json.JSONDecodeError as error:
                problem = f"broken JSON ({error.msg}, column {error.colno})"
                yield number, Fault(number, "broken_json", problem)
            except (ValueError, RecursionError) as error:
                yield number, Fault(number, "broken_json", f"broken JSON ({error})")
            else:
                if isinstance(value, dict):
                    yield number, value
                else:
                    problem = "a JSON object is needed, with a query and a text"
                    yield number, Fault(number, "broken_json", problem)


def _csv(path: Path, dialect: str) -> Iterator[Entry]:
    csv.field_size_limit(LONGEST)
    with _open(path) as file:
        # A wrong byte becomes half a surrogate pair and is found in its row.
        lines = (
            line.decode("utf-8-sig" if number == 0 else "utf-8", errors="surrogateescape")
            for number, line in enumerate(file)
        )
        reader = csv.reader(lines, dialect, strict=True)
        header: list[str] = []
        while True:
            line = reader.line_num + 1
            try:
                row = next(reader, None)
            except csv.Error as error:
                yield line, Fault(line, "broken_csv", f"broken row ({error})")
                continue
            if row is None:
                return
            if not any(row):
                continue
            if not header:
                header = [name.strip() for name in row]
                if SURROGATE.search("".join(header)):
                    raise InputError(f"{path}:{line}: not UTF-8; save the file as UTF-8")
            elif len(row) != len(header):
                problem = f"{len(row)} columns instead of {len(header)} ({', '.join(header)})"
                yield line, Fault(line, "broken_csv", problem[:200])
            else:
                yield line, dict(zip(header, row, strict=True))


def _parquet(path: Path) -> Iterator[Entry]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def values(column: pa.Array) -> list[object]:
        try:
            return cast(list[object], column.to_pylist())
        except UnicodeDecodeError:  # Parquet does not check what it calls a string
            raw = column.cast(pa.large_binary()).to_pylist()
            return [v if v is None else v.decode("utf-8", "surrogateescape") for v in raw]

    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: not a Parquet file ({error})") from None
    with file:
        number = 0
        for batch in file.iter_batches(BATCH):
            names = batch.schema.names
            for row in zip(*map(values, batch.columns), strict=True):
                number += 1
                yield number, dict(zip(names, row, strict=True))


READERS: dict[str, Callable[[Path], Iterator[Entry]]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".csv": partial(_csv, dialect="excel"),
    ".tsv": partial(_csv, dialect="excel-tab"),
    ".parquet": _parquet,
}
UNIFORM = (".csv", ".tsv", ".parquet")  # all rows of such a file have the same columns
