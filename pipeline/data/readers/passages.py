"""Read a corpus file: JSON Lines, CSV, TSV or Parquet in, a stream of ``Passage`` out."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pipeline.config.datasets import ColumnsConfig
from pipeline.data.readers.lines import fail
from pipeline.data.readers.tables import Fault, first_of, optional_text, records, required_text
from pipeline.records import InputError

TEXTS = ("text", "document_text", "passage", "document", "sentence2")  # usual column names
IDS = ("doc_id", "_id", "id")


class Passage(NamedTuple):
    """One passage; ``line`` counts from 1 as in an editor, in Parquet it counts rows."""

    line: int
    doc_id: str | None
    title: str  # "" without one
    text: str

    @property
    def whole(self) -> str:
        """Title and text, which is what is searched and reranked; rows may leave the title out."""
        return f"{self.title} {self.text}".strip()


def read_passages(path: Path, columns: ColumnsConfig, dropped: Counter[str]) -> Iterator[Passage]:
    """Yield the passages of a file in order; ``dropped`` counts the empty ones.

    Raises:
        InputError: the file is missing, its format unknown, or a line is broken or without a
            text; the message names file and line.
    """
    line = 0
    for line, record in records(path):
        if isinstance(record, Fault):
            if record.kind == "row_in_quotes":
                dropped[record.kind] += 1
                continue
            fail(path, line, record.problem)
        column = first_of(record, _wanted(columns.text, TEXTS))
        if column is None:
            shown = ", ".join(record)[:200]
            fail(
                path,
                line,
                f'no column "{columns.text or TEXTS[0]}" for the text; there are {shown}',
            )
        text = required_text(line, record, column, "text")
        name = first_of(record, _wanted(columns.doc_id, IDS))
        doc_id = optional_text(record, name) if name is not None else None
        if isinstance(text, str):
            yield Passage(line, doc_id, optional_text(record, "title") or "", text.strip())
        elif text.kind == "empty_text":
            dropped["empty_passage"] += 1
        else:
            fail(path, line, text.problem)
    if line == 0:
        raise InputError(f"{path}: no rows")


def _wanted(named: str | None, usual: tuple[str, ...]) -> tuple[str, ...]:
    """The names to try: that of the labelled file, which a corpus may lack, then the usual."""
    return usual if named is None else (named, *usual)
