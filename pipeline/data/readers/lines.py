"""Read text files line by line, gzipped or not; every error names file and line."""

import codecs
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import IO, Any, NoReturn, cast

from pipeline.infra.manifest import sha256
from pipeline.records import InputError


def fail(path: Path, line: int, problem: str) -> NoReturn:
    """Raise the InputError ``path:line: problem``."""
    raise InputError(f"{path}:{line}: {problem}")


def require_distinct(columns: Sequence[str], where: str) -> None:
    """Check that no two columns have the same name, as only one of them would be read.

    Raises:
        InputError: two have; names ``where`` and the places from 1. Columns without a name may.
    """
    for name in filter(None, columns):
        if columns.count(name) > 1:
            places = " and ".join(str(n) for n, c in enumerate(columns, start=1) if c == name)
            raise InputError(f'{where}: columns {places} are named "{name}"; rename all but one')


def utf8_lines(file: IO[bytes], name: str) -> Iterator[bytes]:
    """Yield the lines of an open file in UTF-8, without a byte order mark.

    A file with the mark of UTF-16, as spreadsheets save it, is converted.

    Raises:
        InputError: broken UTF-16, or zero bytes in the first line.
    """
    first = file.readline()
    if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        yield from _from_utf16(chain([first], file), name)
        return
    if b"\0" in first:
        raise InputError(
            f"{name}: zero bytes, so not a text in UTF-8 (UTF-16 without a byte order mark?); "
            f"save it as UTF-8"
        )
    if first:
        yield first.removeprefix(codecs.BOM_UTF8)
    yield from file


def _from_utf16(chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
    decoder, pending = codecs.getincrementaldecoder("utf-16")(), ""
    try:
        for chunk in chunks:
            *lines, pending = (pending + decoder.decode(chunk)).split("\n")
            yield from (f"{line}\n".encode() for line in lines)
        pending += decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: broken UTF-16 ({error.reason}); save it as UTF-8") from None
    if pending:
        yield pending.encode()


def text_lines(file: IO[bytes], name: str) -> Iterator[str]:
    """Yield the lines of an open file as text.

    Raises:
        InputError: a line is not UTF-8; names ``name`` and the line.
    """
    for number, line in enumerate(utf8_lines(file, name), start=1):
        try:
            yield line.decode()
        except UnicodeDecodeError as error:
            fail(Path(name), number, f"not UTF-8 ({error.reason}); save it as UTF-8")


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, text without its line end) of all lines that are not blank.

    Raises:
        InputError: the file is not UTF-8, or not gzip in spite of its name.
    """
    number = 0
    opened = gzip.open if path.suffix == ".gz" else open
    with cast(IO[bytes], opened(path, "rb")) as file:
        try:
            for number, line in enumerate(text_lines(file, str(path)), start=1):
                text = line.rstrip("\r\n")
                if text.strip():
                    yield number, text
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            fail(path, number + 1, f"broken gzip file ({error}); copy or compress it again")


def numbered_objects(path: Path, expected: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, object) of a JSON Lines file.

    Raises:
        InputError: a line is not a JSON object; ``expected`` shows a right one.
    """
    for number, line in numbered_lines(path):
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            fail(path, number, f"broken JSON ({error.msg}, column {error.colno}), like {expected}")
        # Brackets too deep, or a number too long.
        except (ValueError, RecursionError) as error:
            fail(path, number, f"broken JSON ({error}), like {expected}")
        if not isinstance(value, dict):
            fail(path, number, f"a JSON object is needed, like {expected}")
        yield number, value


def text_field(row: dict[str, Any], key: str, path: Path, line: int, expected: str) -> str:
    """Return the string ``row[key]``.

    Raises:
        InputError: it is missing, not a string, or holds half a surrogate pair.
    """
    if key not in row:
        fail(path, line, f'no "{key}", a line looks like {expected}')
    value = row[key]
    if not isinstance(value, str):
        fail(path, line, f'"{key}" must be a string, a line looks like {expected}')
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            fail(path, line, f'"{key}" holds half a surrogate pair, which is no character')
    return value


def file_facts(root: Path, files: Iterable[Path]) -> dict[str, object]:
    """Map name below ``root`` -> [bytes, sha256], which identifies files wherever they are."""
    facts: dict[str, object] = {}
    for path in sorted(files):
        facts[path.relative_to(root).as_posix()] = [path.stat().st_size, sha256(path)]
    return facts
