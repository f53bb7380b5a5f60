"""Read labelled rows: a file in, a stream of ``LabelledRow`` and ``Fault`` out.

The file is JSON Lines, CSV, TSV or Parquet. A row of it is ``(query, text, label)`` with
optional ids, split and group, or one of sentence-transformers' forms (anchor, positive,
negatives), which gives a ``LabelledRow`` per passage. A broken line gives a ``Fault`` and the
next line follows; a broken file is an InputError. Where a configured column is absent, the
usual names are tried. Only a batch of rows is in memory.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, cast

from pipeline.config.datasets import ColumnsConfig
from pipeline.data.readers.passages import TEXTS
from pipeline.data.readers.tables import (
    Entry,
    Fault,
    Record,
    first_of,
    is_uniform,
    optional_text,
    records,
    required_text,
)
from pipeline.records import InputError

QUERIES = ("query", "question", "anchor", "sentence1")
LABELS = ("label", "score", "relevance")
POSITIVES = ("positive", "answer")
NEGATIVE = re.compile(r"negative(_\d+)?")
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
    """The column of each role; in the form of pairs there is no label."""

    query: str
    texts: list[str]  # the passage, or the positive and the negatives
    label: str | None


def read_rows(path: Path, columns: ColumnsConfig) -> Iterator[LabelledRow | Fault]:
    """Yield the rows of a file and the faults of its lines, in order.

    In the form of pairs the positive has the label 1 and a negative the label 0.

    Raises:
        InputError: there is no such file, its format is unknown or broken, it has no row, or
            a needed column is nowhere in it.
    """
    yield from _labelled(path, records(path), columns, uniform=is_uniform(path))


def _labelled(
    path: Path, entries: Iterable[Entry], columns: ColumnsConfig, uniform: bool
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
            yield from _rows(line, record, layout, columns)
    if line == 0:
        raise InputError(f"{path}: no rows")
    if layouts and all(isinstance(layout, str) for layout in layouts.values()):
        raise InputError(f"{path}: {next(iter(layouts.values()))}")


def _layout(names: Collection[str], columns: ColumnsConfig) -> _Layout | str:
    """The roles of the columns, or one line that names the missing one."""
    query = first_of(names, (columns.query, *QUERIES))
    label = first_of(names, (columns.label, *LABELS))
    text = first_of(names, (columns.text,))
    positive = first_of(names, POSITIVES)
    if text is None and label is None and positive is not None:
        if query is not None:
            return _Layout(query, [positive, *filter(NEGATIVE.fullmatch, names)], None)
    else:
        text = text or first_of(names, (*TEXTS, *POSITIVES))
        if query is not None and text is not None and label is not None:
            return _Layout(query, [text], label)
    roles = {"query": query, "text": text or positive, "label": label or positive}
    role = next(role for role, column in roles.items() if column is None)
    shown = ", ".join(list(names)[:SHOWN]) or "none"
    if len(names) == 1 and re.search(r"[;|,\t]", shown):
        return f'one column, "{shown}": .csv needs commas between columns, .tsv tabs'
    return (
        f'no column "{getattr(columns, role)}" for the {role}; there are {shown}; '
        f"name it: dataset.columns.{role}=... (audit: --column {role}=...)"
    )


def _rows(
    line: int, record: Record, layout: _Layout, columns: ColumnsConfig
) -> Iterator[LabelledRow | Fault]:
    query = required_text(line, record, layout.query, "query")
    if isinstance(query, Fault):
        yield query
        return
    query_id = optional_text(record, columns.query_id)
    doc_id = optional_text(record, columns.doc_id)
    split = optional_text(record, columns.split)
    group = optional_text(record, columns.group)
    label_given = layout.label is not None
    for place, column in enumerate(layout.texts):
        # n-tuples may be of different lengths.
        if place > 0 and record[column] in (None, ""):
            continue
        text = required_text(line, record, column, "text")
        label = int(place == 0) if layout.label is None else _label(line, record, layout.label)
        if isinstance(text, Fault):
            yield text
        elif isinstance(label, Fault):
            yield label
        else:
            own_id = doc_id if label_given else None
            yield LabelledRow(line, query, text, label, query_id, own_id, split, group, label_given)


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
