"""Read CSV and TSV, as spreadsheets and data frames write them.

The name of the file says which separator is tried first; if the header has none of it, semicolons,
tabs, commas and bars are tried. Excel's first line ``sep=;`` is obeyed.
"""

import csv
import re
from collections.abc import Iterator
from itertools import chain
from typing import IO

from pipeline.data.readers.lines import utf8_lines
from pipeline.records import InputError

# Characters of one field: a quote left open must not take all memory.
LONGEST = 10_000_000
DELIMITERS = (";", "\t", ",", "|")
TOLD = re.compile(r'"?sep=(.)"?\s*')  # Excel's own line before the header
# Half a surrogate pair, in the text or decoded from a wrong byte.
SURROGATE = re.compile("[\ud800-\udfff]")


def separated_rows(
    file: IO[bytes], name: str, delimiter: str
) -> Iterator[tuple[int, dict[str, object] | str]]:
    """Yield the line of every row that is not blank, and its values by column or its fault.

    A wrong byte becomes half a surrogate pair.

    Raises:
        InputError: broken UTF-16, or a header that is not UTF-8.
    """
    csv.field_size_limit(LONGEST)
    lines = (line.decode("utf-8", "surrogateescape") for line in utf8_lines(file, name))
    blank = 0  # lines before the header
    first = next(lines, "")
    if told := TOLD.fullmatch(first):
        blank, first = 1, next(lines, "")
    while first and not first.strip():
        blank, first = blank + 1, next(lines, "")
    delimiter = told[1] if told else _delimiter(first, delimiter)
    reader = csv.reader(chain([first], lines), delimiter=delimiter, strict=True)
    header: list[str] = []
    while True:
        line = blank + reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            yield line, f"broken row ({error})"
            continue
        if row is None:
            return
        last = blank + reader.line_num
        if not any(row):
            continue
        if not header:
            header = [column.strip() for column in row]
            if SURROGATE.search("".join(header)):
                raise InputError(f"{name}:{line}: not UTF-8; save the file as UTF-8")
        elif delimiter == "\t" and last > line:
            yield line, f"a quote that opens here closes on line {last}; a row of TSV is one line"
        elif len(row) != len(header):
            yield line, f"{len(row)} columns instead of {len(header)} ({', '.join(header)})"[:200]
        else:
            yield line, dict(zip(header, row, strict=True))


def _delimiter(header: str, usual: str) -> str:
    """Return the first separator that splits the header, ``usual`` if none does."""
    for delimiter in (usual, *DELIMITERS):
        if len(next(csv.reader([header], delimiter=delimiter), [])) > 1:
            return delimiter
    return usual
