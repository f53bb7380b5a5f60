"""Read CSV and TSV, as spreadsheets and data frames write them.

The name of the file says which separator is tried first; if the header has none of it, semicolons,
tabs, commas and bars are tried. Excel's first line ``sep=;`` is obeyed.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import IO

from pipeline.data.readers.lines import require_distinct, utf8_lines
from pipeline.data.text import SURROGATE
from pipeline.records import InputError

# Characters of one field: a quote left open must not take all memory.
LONGEST = 10_000_000
BROKEN = "broken_csv"
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
DELIMITERS = (";", "\t", ",", "|")
TOLD = re.compile(r'"?sep=(.)"?\s*')  # Excel's own line before the header


def separated_rows(
    file: IO[bytes], name: str, delimiter: str
) -> Iterator[tuple[int, dict[str, object] | tuple[str, str]]]:
    """Yield the line of every row that is not blank, and its values by column or its fault.

    A fault is its kind, broken_csv or row_in_quotes, and the problem. After a row_in_quotes the
    row follows. A wrong byte becomes half a surrogate pair.

    Raises:
        InputError: broken UTF-16, or a header that ends in CR alone, is not UTF-8 or names two
            columns alike.
    """
    csv.field_size_limit(LONGEST)
    taken: list[str] = []  # lines of one row
    lines = _decoded(utf8_lines(file, name), taken)
    blank = 0  # lines before the header
    first = next(lines, "")
    if told := TOLD.fullmatch(first):
        blank, first = 1, next(lines, "")
    while first and not first.strip():
        blank, first = blank + 1, next(lines, "")
    try:
        delimiter = told[1] if told else _delimiter(first, delimiter)
    except csv.Error:
        problem = "the header can't be read; end every line with LF or CRLF, not with CR alone"
        raise InputError(f"{name}:{blank + 1}: {problem}") from None
    reader = csv.reader(chain([first], lines), delimiter=delimiter, strict=True)
    header: list[str] = []
    while True:
        line = blank + reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            yield line, (BROKEN, f"broken row ({error})")
            taken.clear()
            continue
        if row is None:
            return
        last, ends = blank + reader.line_num, (taken[0], taken[-1]) if taken else ()
        taken.clear()
        if not any(row):
            continue
        if not header:
            header = [column.strip() for column in row]
            if SURROGATE.search("".join(header)):
                raise InputError(f"{name}:{line}: not UTF-8; save the file as UTF-8")
            require_distinct(header, f"{name}:{line}")
        elif delimiter == "\t" and last > line:
            problem = f"a quote that opens here closes on line {last}; a row of TSV is one line"
            yield line, (BROKEN, problem)
        elif len(row) != len(header):
            problem = f"{len(row)} columns instead of {len(header)} ({', '.join(header)})"
            yield line, (BROKEN, problem[:200])
        else:
            if last > line and all(_like(row, end, delimiter) for end in ends):
                problem = (
                    f"a quote that opens here closes on line {last}; both look like whole rows"
                )
                yield line, ("row_in_quotes", problem)
            yield line, dict(zip(header, row, strict=True))


def _decoded(lines: Iterable[bytes], taken: list[str]) -> Iterator[str]:
    """Decode the lines, and keep each in ``taken`` until that is cleared."""
    for line in lines:
        taken.append(line.decode("utf-8", "surrogateescape"))
        yield taken[-1]


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
