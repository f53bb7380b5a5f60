"""Read labelled rows: a file in, a stream of ``LabelledRow`` and ``Fault`` out.

The file is JSON Lines, CSV, TSV or Parquet. A row of it is ``(query, text, label)`` with
optional ids, split and group, or one of sentence-transformers' forms (anchor, positive,
negatives), which gives a ``LabelledRow`` per passage. A broken line gives a ``Fault`` and the
next line follows; a broken file is an InputError. Where no column is named, the usual names are
tried. Only a batch of rows is in memory.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, cast

from pipeline.config.datasets import ColumnsConfig
from pipeline.data.readers.labels import EXPECTED, parse_label
from pipeline.data.readers.passages import TEXTS
from pipeline.data.readers.tables import (
    Entry,
    Fault,
    Record,
    first_of,
    is_missing,
    is_uniform,
    optional_text,
    records,
    required_text,
)
from pipeline.records import InputError

QUERIES = ("query", "question", "anchor", "sentence1")
LABELS = ("label", "score", "relevance")
POSITIVES = ("positive", "positives", "pos", "answer")
NEGATIVE = re.compile(r"(hard_)?neg(ative)?s?_?\d*")
USUAL = {
    "query": QUERIES,
    "text": TEXTS,
    "label": LABELS,
    "query_id": ("query_id",),
    "doc_id": ("doc_id",),
    "split": ("split",),
    "group": ("group",),
}
OPTIONAL = ("query_id", "doc_id", "split", "group")
LEFT_OUT = "none"  # as the name of a column
SHOWN = 20  # columns named in a message


class LabelledRow(NamedTuple):
    """A query, a passage and how relevant it is: 0 not, 1 and more relevant.

    ``line`` counts from 1 as in an editor; in Parquet it counts rows. ``label_given`` is false
    in the form of pairs, where the passage's column determines the label.
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


class _Layout(NamedTuple):
    """The columns of the roles; in the form of pairs there is no label.

    ``texts`` is the passage, or the positive and the negatives.
    """

    query: str
    texts: list[str]
    label: str | None
    optional: dict[str, str | None]  # role -> column


def read_rows(
    path: Path, columns: ColumnsConfig, unread: set[str] | None = None
) -> Iterator[LabelledRow | Fault]:
    """Yield the rows of a file and the faults of its lines, in order.

    In the form of pairs the positive has the label 1 and a negative the label 0; both may be
    lists of texts. Names of columns that nothing reads are added to ``unread``.

    Raises:
        InputError: there is no such file, its format is unknown or broken, it has no row, or
            a column that is needed or named is nowhere in it.
    """
    yield from _labelled(
        path, records(path), columns, set() if unread is None else unread, uniform=is_uniform(path)
    )


def _labelled(
    path: Path, entries: Iterable[Entry], columns: ColumnsConfig, unread: set[str], uniform: bool
) -> Iterator[LabelledRow | Fault]:
    layouts: dict[tuple[str, ...], _Layout | str] = {}  # columns -> roles, or the problem
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
            yield from _rows(line, record, layout)
    if line == 0:
        raise InputError(f"{path}: no rows")
    found = [layout for layout in layouts.values() if isinstance(layout, _Layout)]
    if layouts and not found:
        raise InputError(f"{path}: {next(iter(layouts.values()))}")
    every = list(dict.fromkeys(name for names in layouts for name in names))
    for role in OPTIONAL:
        name = getattr(columns, role)
        if name not in (None, LEFT_OUT, *every) and found:
            raise InputError(f"{path}: {_missing(role, name, every)}")
    unread.update(set(every).difference(*map(_read, found)))


def _read(layout: _Layout) -> set[str]:
    named = (layout.query, *layout.texts, layout.label, *layout.optional.values())
    return {name for name in named if name is not None}


def _layout(names: Collection[str], columns: ColumnsConfig) -> _Layout | str:
    """The columns of the roles, or one line that names the missing one."""
    for role in USUAL:
        named = getattr(columns, role)
        if role not in OPTIONAL and named not in (None, LEFT_OUT, *names):
            return _missing(role, named, names)
    found = {role: _column(role, names, columns) for role in USUAL}
    optional = {role: found[role] for role in OPTIONAL}
    query, label, positive = found["query"], found["label"], first_of(names, POSITIVES)
    if columns.text is None and "text" not in names and label is None and positive is not None:
        if query is not None:
            negatives = filter(NEGATIVE.fullmatch, names)
            # An id in such a row would stand for all of its passages.
            return _Layout(query, [positive, *negatives], None, optional | {"doc_id": None})
        return _missing("query", "query", names)
    text = found["text"] or positive
    for role, column in (("query", query), ("text", text), ("label", label)):
        if column is None:
            return _missing(role, role, names)
    return _Layout(cast(str, query), [cast(str, text)], label, optional)


def _column(role: str, names: Collection[str], columns: ColumnsConfig) -> str | None:
    """The column of a role: as named, or by its usual names."""
    named = getattr(columns, role)
    if named is None:
        return first_of(names, USUAL[role])
    return named if named != LEFT_OUT and named in names else None


def _missing(role: str, name: str, names: Collection[str]) -> str:
    shown = ", ".join(list(names)[:SHOWN]) or "none"
    if len(names) == 1 and re.search(r"[;|,\t]", shown):
        return f'one column, "{shown}": .csv needs commas between columns, .tsv tabs'
    return (
        f'no column "{name}" for the {role}; there are {shown}; '
        f"name it: dataset.columns.{role}=... (audit: --column {role}=...)"
    )


def _rows(line: int, record: Record, layout: _Layout) -> Iterator[LabelledRow | Fault]:
    query = required_text(line, record, layout.query, "query")
    if isinstance(query, Fault):
        yield query
        return
    query_id, doc_id, split, group = (
        optional_text(record, column) if (column := layout.optional[role]) else None
        for role in OPTIONAL
    )
    given = layout.label is not None
    for column, value in _texts(record, layout):
        text = required_text(line, {column: value}, column, "text")
        positive = int(column == layout.texts[0])
        label = positive if layout.label is None else _label(line, record, layout.label)
        if isinstance(text, Fault):
            yield text
        elif isinstance(label, Fault):
            yield label
        else:
            yield LabelledRow(line, query, text, label, query_id, doc_id, split, group, given)


def _texts(record: Record, layout: _Layout) -> Iterator[tuple[str, object]]:
    """Yield the column and the value of every passage of a row; in pairs both may be lists."""
    for place, column in enumerate(layout.texts):
        value = record[column]
        listed = layout.label is None and isinstance(value, list)
        values = cast(list[object], value) or [None] if listed else [value]
        # n-tuples may be of different lengths.
        yield from ((column, v) for v in values if place == 0 or not (is_missing(v) or v == ""))


def _label(line: int, record: Record, column: str) -> int | Fault:
    value = None if is_missing(record[column]) else record[column]
    label = parse_label(str(int(value) if isinstance(value, bool) else value))
    if label is None:
        shown = "empty" if value in (None, "") else f"{value!r:.40}"
        return Fault(line, "bad_label", f'"{column}" is {shown}, not {EXPECTED}')
    if label < 0:
        return Fault(line, "negative_label", f'"{column}" is {label}; labels start at 0')
    return label
