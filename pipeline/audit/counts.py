"""Count texts, pairs, labels, splits and ids while the rows stream by.

No whole text stays in memory. Kept per distinct text are its first line,
its id, its first 60 characters and its entry in ``near_duplicates.Texts``; per distinct pair two
numbers, a line and a label.
"""

import hashlib
from collections import Counter
from typing import NamedTuple

from pipeline.audit.findings import SNIPPET, Sightings, snippet
from pipeline.config.bounds import require
from pipeline.data.labelled.judged import SPLITS
from pipeline.data.labelled.rows import LabelledRow
from pipeline.data.near_duplicates import Texts
from pipeline.data.readers.passages import Passage
from pipeline.data.readers.tables import Fault


class Pair(NamedTuple):
    """Where a pair of query and passage was first seen, and its largest label."""

    line: int
    label: int


class TextCounts:
    """The distinct queries or passages by number, and their ids."""

    def __init__(self) -> None:
        self.texts = Texts()
        self.names: list[str] = []  # id or start of the text
        self.lines: list[int] = []  # 0 for a passage of the corpus file
        self.splits: dict[tuple[int, str], int] = {}  # number, split -> first line
        self.renamed = Sightings()  # one text under two ids
        self.ambiguous = Sightings()  # one id for two texts
        self.merged = Sightings()  # other spellings of a text: case, compatibility, white space
        self._spellings: set[bytes] = set()  # hashes of the exact texts
        self._ids: dict[str, tuple[int, int]] = {}  # id -> number, line
        self._id_of: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self.names)

    def add(self, text: str, given: str | None, line: int, *forms: str) -> int:
        """Return the number of a text; note ids that have two texts, and texts with two ids.

        Rows may use any of the other ``forms`` of the text.
        """
        number = self.texts.add(text, *forms)
        spelling = _spelling(text)
        if number == len(self.names):
            shown = snippet(text)
            self.names.append(shown if given is None else f"{given[:SNIPPET]} {shown}")
            self.lines.append(line)
        elif spelling not in self._spellings:
            where = f"{place(self.lines[number])} and {place(line)}"
            self.merged.add(f"{where}: {self.names[number]} and {snippet(text)}")
        self._spellings.update(map(_spelling, (text, *forms)))
        if given in self._ids:
            before, first = self._ids[given]
            if before != number:
                self.ambiguous.add(f'{place(first)} and {place(line)}: "{given}"')
        elif given is not None:
            self._ids[given] = (number, line)
            known = self._id_of.setdefault(number, given)
            if known != given:
                where = f"{place(self._ids[known][1])} and {place(line)}"
                self.renamed.add(f'{where}: "{known}" and "{given}", {snippet(text)}')
        return number


class Counts:
    """All counts of a file except token lengths."""

    def __init__(self, near_duplicate: float) -> None:
        require(
            0 < near_duplicate <= 1, "near_duplicate", near_duplicate, "must be above 0, up to 1"
        )
        self.near_duplicate = near_duplicate  # Jaccard similarity
        self.queries = TextCounts()
        self.passages = TextCounts()
        self.faults: dict[str, Sightings] = {}
        self.rows = 0  # without a fault
        self.labels: Counter[tuple[str, int]] = Counter()  # split, label -> rows
        self.labels_given = False  # else the form is pairs, triplets or n-tuples
        self.pairs: dict[tuple[int, int], Pair] = {}  # numbers of query and passage
        self.repeated = Sightings()
        self.conflicting = Sightings()
        self.span: dict[str, tuple[int, int]] = {}  # split -> first and last line
        self.unknown_splits = Sightings()
        self.unread: set[str] = set()  # names of columns

    def add_fault(self, fault: Fault) -> None:
        """Count a line that cannot be used."""
        self.faults.setdefault(fault.kind, Sightings()).add(f"line {fault.line}: {fault.problem}")

    def add_passage(self, passage: Passage) -> int:
        """Count a passage of the corpus file; return its number."""
        return self.passages.add(passage.whole, passage.doc_id, 0, passage.text)

    def add(self, row: LabelledRow) -> tuple[int, int]:
        """Count a row; return the numbers of its query and its passage."""
        query = self.queries.add(row.query, row.query_id, row.line)
        passage = self.passages.add(row.text, row.doc_id, row.line)
        self.rows += 1
        self.labels_given |= row.label_given
        split = self._split(row)
        self.labels[split, row.label] += 1
        self.span[split] = (self.span.get(split, (row.line, 0))[0], row.line)
        self.queries.splits.setdefault((query, split), row.line)
        if row.label > 0:
            self.passages.splits.setdefault((passage, split), row.line)
        self._pair(query, passage, row)
        return query, passage

    @property
    def split_names(self) -> list[str]:
        """The splits named in the file, in order of appearance."""
        return [split for split in self.span if split]

    def _pair(self, query: int, passage: int, row: LabelledRow) -> None:
        before = self.pairs.get((query, passage))
        if before is None:
            self.pairs[query, passage] = Pair(row.line, row.label)
            return
        name = f"{self.queries.names[query]} with {self.passages.names[passage]}"
        if before.label == row.label:
            self.repeated.add(f"lines {before.line} and {row.line}: {name}")
            return
        self.conflicting.add(
            f"lines {before.line} (label {before.label}) and {row.line} (label {row.label}): {name}"
        )
        self.pairs[query, passage] = Pair(before.line, max(before.label, row.label))

    def _split(self, row: LabelledRow) -> str:
        if row.split is None:
            return ""
        if row.split.lower() not in SPLITS:
            self.unknown_splits.add(f'line {row.line}: "{row.split}"')
        return SPLITS.get(row.split.lower(), "other")


def _spelling(text: str) -> bytes:
    return hashlib.sha256(text.strip().encode()).digest()[:8]


def place(line: int) -> str:
    """Describe where a text was seen; line 0 stands for the corpus file."""
    return f"line {line}" if line else "the corpus file"
