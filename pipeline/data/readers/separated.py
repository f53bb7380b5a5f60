"""Read CSV and TSV, as spreadsheets and data frames write them.

The name of the file says which separator is tried first; if the header has none of it, semicolons,
tabs, commas and bars are tried. Excel's first line ``sep=;`` is obeyed.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice, tee
from typing import IO, NamedTuple

from pipeline.data.readers.lines import require_distinct, utf8_lines
from pipeline.data.text import SURROGATE
from pipeline.records import InputError

# Characters of one field: a quote left open must not take all memory.
LONGEST = 10_000_000
BROKEN = "broken_csv"
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
DELIMITERS = (";", "\t", ",", "|")
TOLD = re.compile(r'"?sep=(.)"?\s*')  # Excel's own line before the header


class Row(NamedTuple):
    """A row as it stands in the file, over the lines ``first`` to ``last``."""

    first: int
    last: int
    cells: list[str]
    lines: list[str]  # with the quotes and separators
    error: str = ""  # why it can't be read


def separated_rows(
    file: IO[bytes], name: str, delimiter: str
) -> Iterator[tuple[int, dict[str, object] | tuple[str, str]]]:
    """Yield the line of every row that is not blank, and its values by column or its fault.

    A fault is its kind, broken_csv or row_in_quotes, and the problem. After a row_in_quotes the
    row follows. A wrong byte becomes half a surrogate pair.

    Raises:
        InputError: broken UTF-16, or a header that is broken, ends in CR alone, is not UTF-8 or
            names two columns alike.
    """
    csv.field_size_limit(LONGEST)
    lines = (line.decode("utf-8", "surrogateescape") for line in utf8_lines(file, name))
    before, first, delimiter = _start(lines, name, delimiter)
    header: list[str] = []
    for row in _rows(chain([first], lines), delimiter, before):
        if not header:
            header = _header(row, name)
        elif row.error:
            yield row.first, (BROKEN, row.error)
        elif problem := _misfit(row, header, delimiter):
            yield row.first, (BROKEN, problem)
        else:
            if row.last > row.first and (problem := _open_quote(row, delimiter)):
                yield row.first, ("row_in_quotes", problem)
            yield row.first, dict(zip(header, row.cells, strict=True))


def _start(lines: Iterator[str], name: str, usual: str) -> tuple[int, str, str]:
    """Return how many lines precede the header, its first line, and the separator."""
    before, header = 0, next(lines, "")
    if told := TOLD.fullmatch(header):
        before, header = 1, next(lines, "")
    while header and not header.strip():
        before, header = before + 1, next(lines, "")
    try:
        return before, header, told[1] if told else _delimiter(header, usual)
    except csv.Error:
        problem = "the header can't be read; end every line with LF or CRLF, not with CR alone"
        raise InputError(f"{name}:{before + 1}: {problem}") from None


def _rows(lines: Iterable[str], delimiter: str, before: int) -> Iterator[Row]:
    """Yield the rows that are not blank; ``before`` is the number of the line before them."""
    parsed, kept = tee(lines)
    reader = csv.reader(parsed, delimiter=delimiter, strict=True)
    while True:
        start = reader.line_num
        cells, error = [], ""
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as why:
            error = f"broken row ({why})"
        own = list(islice(kept, reader.line_num - start))
        if error or any(cells):
            yield Row(before + start + 1, before + reader.line_num, cells, own, error)


def _header(row: Row, name: str) -> list[str]:
    """Return the names of the columns.

    Raises:
        InputError: the row is broken, they are not UTF-8, or two are alike.
    """
    if row.error:
        raise InputError(f"{name}:{row.first}: the header can't be read: {row.error}")
    header = [column.strip() for column in row.cells]
    if SURROGATE.search("".join(header)):
        raise InputError(f"{name}:{row.first}: not UTF-8; save the file as UTF-8")
    require_distinct(header, f"{name}:{row.first}")
    return header


def _misfit(row: Row, header: Sequence[str], delimiter: str) -> str:
    """Why a row can't be used; "" if it can."""
    if delimiter == "\t" and row.last > row.first:
        return f"a quote that opens here closes on line {row.last}; a row of TSV is one line"
    if len(row.cells) != len(header):
        problem = f"{len(row.cells)} columns instead of {len(header)} ({', '.join(header)})"
        return problem[:200]
    return ""


def _open_quote(row: Row, delimiter: str) -> str:
    """What suggests that a quote was left open in a row of several lines; "" if nothing does."""
    if not all(_like(row.cells, line, delimiter) for line in (row.lines[0], row.lines[-1])):
        return ""
    return f"a quote that opens here closes on line {row.last}; both look like whole rows"


def _like(row: Sequence[str], line: str, delimiter: str) -> bool:
    """Whether a line, quotes apart, has as many columns as the row, and numbers in the same."""
    cells = line.split(delimiter)
    numbers = [place for place, cell in enumerate(row) if NUMBER.fullmatch(cell.strip())]
    return (
        len(cells) == len(row)
        and bool(numbers)
        and all(NUMBER.fullmatch(cells[place].strip()) for place in numbers)
    )


def _delimiter(header: str, usual: str) -> str:
    """Return the first separator that splits the header, ``usual`` if none does."""
    for delimiter in (usual, *DELIMITERS):
        if len(next(csv.reader([header], delimiter=delimiter), [])) > 1:
            return delimiter
    return usual
