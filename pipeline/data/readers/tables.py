"""Read tables: JSON Lines, CSV, TSV or Parquet in, a stream of (line, columns or fault) out.

All but Parquet may be gzipped. A broken line gives a ``Fault`` and the next line follows; a
broken file is an InputError. Only a batch of rows is in memory.
"""

import gzip
import json
import math
import re
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple, cast

import pyarrow as pa

from pipeline.data.readers.lines import require_distinct, utf8_lines
from pipeline.data.readers.parquet import parquet_file
from pipeline.data.readers.separated import separated_rows
from pipeline.data.text import SURROGATE
from pipeline.records import InputError

BATCH = 1024  # rows of a Parquet file read at a time
# A whole number, perhaps written as a float.
WHOLE = re.compile(r"(-?\d+)\.0+")


class Fault(NamedTuple):
    """A broken line.

    ``kind`` is one of broken_json, broken_csv, not_utf8, missing_column, not_text, bad_label,
    negative_label, empty_query, empty_text, row_in_quotes; ``problem`` describes it. After a
    row_in_quotes the row follows, which may have swallowed others.
    """

    line: int
    kind: str
    problem: str


Record = Mapping[str, object]
Entry = tuple[int, Record | Fault]  # line and its values by column


def records(path: Path) -> Iterator[Entry]:
    """Yield the line and the values by column, or the fault, of every row that is not blank.

    Lines count from 1 as in an editor; in Parquet rows are counted.

    Raises:
        InputError: there is no such file, or its format is unknown or broken.
    """
    if not path.is_file():
        reason = "is a folder; name a file in it" if path.is_dir() else "no such file"
        raise InputError(f"{path}: {reason}")
    if (reader := READERS.get(_kind(path))) is None:
        known = ", ".join(READERS)
        raise InputError(f"{path}: unknown format; the name must end with {known}, or with .gz")
    try:
        yield from reader(path)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path}: broken gzip file ({error}); compress it again") from None


def is_uniform(path: Path) -> bool:
    """Whether all rows have the same columns in this format."""
    return _kind(path) in UNIFORM


def name_end(path: Path) -> str:
    """Return the end of the name that says how the file is read, as ".csv" or ".csv.gz"."""
    return _kind(path) + (".gz" if path.suffix.lower() == ".gz" else "")


def _kind(path: Path) -> str:
    name = path.name.lower()
    kind = Path(name.removesuffix(".gz")).suffix
    return "" if kind == ".parquet" and name.endswith(".gz") else kind


def first_of(names: Collection[str], wanted: Iterable[str]) -> str | None:
    """Return the first of the ``wanted`` names that is in ``names``."""
    return next((name for name in wanted if name in names), None)


def required_text(line: int, record: Record, column: str, role: str) -> str | Fault:
    """Return the text in a column, or its fault: not_text, not_utf8, or empty_{role}."""
    value = record[column]
    if is_missing(value):
        value = ""
    if not isinstance(value, str):
        return Fault(line, "not_text", f'"{column}" must be a string, not {_json_type(value)}')
    if SURROGATE.search(value):
        return Fault(line, "not_utf8", f'"{column}" is not UTF-8; save the file as UTF-8')
    if not value.strip():
        return Fault(line, f"empty_{role}", f'"{column}" is empty')
    return value


def _json_type(value: object) -> str:
    """Name the JSON type of a value that is not a string."""
    names = {bool: "true or false", int: "a number", float: "a number", list: "a list"}
    return names.get(type(value), "an object")


def optional_text(record: Record, column: str) -> str | None:
    """Return the value of a column as text without outer white space; None if empty.

    Equal whole numbers are equal texts, however written: 7, 7.0 and "7.0". Not a number (NaN) is
    empty.
    """
    value = record.get(column)
    if is_missing(value) or isinstance(value, list | dict):
        return None
    # An id with a wrong byte still tells rows apart, and can be shown.
    text = SURROGATE.sub("\ufffd", str(value)).strip()
    if whole := WHOLE.fullmatch(text):
        return whole[1]
    # 1e+16, as str writes a large float.
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return text or None


def is_missing(value: object) -> bool:
    """Whether a cell is empty: None, or not a number (NaN), as data frames write it."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _open(path: Path) -> IO[bytes]:
    return cast(
        IO[bytes], gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")
    )


def _json_lines(path: Path) -> Iterator[Entry]:
    with _open(path) as file:
        for number, line in enumerate(utf8_lines(file, str(path)), start=1):
            if not line.strip():
                continue
            try:
                value = json.loads(line.decode())
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


def _separated(path: Path, delimiter: str) -> Iterator[Entry]:
    with _open(path) as file:
        for line, row in separated_rows(file, str(path), delimiter):
            yield line, Fault(line, *row) if isinstance(row, tuple) else row


def _parquet(path: Path) -> Iterator[Entry]:
    def values(column: pa.Array) -> list[object]:
        try:
            return cast(list[object], column.to_pylist())
        # A Parquet string need not be UTF-8.
        except UnicodeDecodeError:
            raw = column.cast(pa.large_binary()).to_pylist()
            return [v if v is None else v.decode("utf-8", "surrogateescape") for v in raw]

    with parquet_file(path) as file:
        require_distinct(file.schema_arrow.names, str(path))
        number = 0
        for batch in file.iter_batches(BATCH):
            names = batch.schema.names
            for row in zip(*map(values, batch.columns), strict=True):
                number += 1
                yield number, dict(zip(names, row, strict=True))


READERS: dict[str, Callable[[Path], Iterator[Entry]]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".csv": partial(_separated, delimiter=","),
    ".tsv": partial(_separated, delimiter="\t"),
    ".parquet": _parquet,
}
UNIFORM = (".csv", ".tsv", ".parquet")  # all rows of such a file have the same columns
