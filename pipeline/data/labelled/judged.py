"""Put labelled rows together: rows in, queries and judgments by id out, passages on disk.

A query or passage without an id gets one from its text, so the same text (``text_key``) is the same
query or passage; other spellings of it are counted. If an id is on some rows of a text only, the
rows without one belong to the first id. An id that stands for two texts is refused: one of the
labels would be wrong.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pipeline.config.datasets import LabelledConfig
from pipeline.data.corpus import CorpusWriter
from pipeline.data.labelled.rows import LabelledRow, read_rows
from pipeline.data.readers.lines import fail
from pipeline.data.readers.passages import read_passages
from pipeline.data.readers.tables import Fault
from pipeline.data.text import text_key
from pipeline.infra.console import live_line
from pipeline.records import Qrels, QuerySet

# Faults that are counted; any other one is an error.
COUNTED = ("empty_query", "empty_text", "row_in_quotes")
SPLITS = {"train": "train", "test": "test"} | dict.fromkeys(("dev", "validation", "val"), "dev")
ALL = ""  # the split of every row where the file names none


class _Seen(NamedTuple):
    text_id: str  # the made id if the first rows have none, else the given one
    keys: tuple[bytes, ...]  # of the texts that the id stands for
    path: Path
    line: int


class Ids:
    """Give every text an id; ``kind`` names the column in messages."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._seen: dict[str, _Seen] = {}
        self._named: dict[bytes, str] = {}
        self._never_given: set[str] = set()  # made ids of texts that no row has given an id yet
        self._spellings: set[bytes] = set()  # hashes of ids with the exact texts
        self.merged = 0  # texts that are not equal letter by letter to the first of their id

    def add(self, given: str | None, path: Path, line: int, *forms: str) -> tuple[str, bool]:
        """Return the id of a text, given or made, and whether it is new.

        A text may have several ``forms``; rows may use any of them.

        Raises:
            InputError: the given id already stands for another text.
        """
        keys = tuple(map(text_key, forms))
        named = self._named.get(keys[0])
        name = given or named or keys[0].hex()[:16]
        new = name not in self._seen
        if new and named in self._never_given:
            self._never_given.remove(named)
            self._seen[name] = self._seen[named]._replace(path=path, line=line)
            new = False
        elif new:
            self._seen[name] = _Seen(name, keys, path, line)
            if given is None:
                self._never_given.add(name)
        seen = self._seen[name]
        if keys[0] not in seen.keys:
            where = f"line {seen.line}" if path == seen.path else f"{seen.path}:{seen.line}"
            problem = f'the {self._kind} "{name}" has another text than on {where}'
            fail(path, line, f"{problem}; give another id, or the same text")
        for key in keys:
            self._named.setdefault(key, seen.text_id)
        self._count(seen.text_id, forms, new)
        return seen.text_id, new

    def _count(self, text_id: str, forms: tuple[str, ...], new: bool) -> None:
        """Note how the text is spelled; count it if its id has another spelling already."""
        spellings = {_spelling(text_id, form) for form in forms}
        if not new and not spellings & self._spellings:
            self.merged += 1
        self._spellings |= spellings

    def key(self, text_id: str) -> bytes:
        """Return 16 bytes that two ids share if their texts are the same."""
        return self._seen[text_id].keys[0]


def _spelling(text_id: str, text: str) -> bytes:
    return hashlib.sha256(f"{text_id}\0{text.strip()}".encode()).digest()[:8]


@dataclass
class Judged:
    """The rows by id, separate for each split that they name (``ALL`` if they name none).

    ``labels`` maps split -> query id -> document id -> label, 0 included. ``groups`` maps a
    query id to its values of the group column.
    """

    queries: dict[str, str] = field(default_factory=dict)
    groups: dict[str, set[str]] = field(default_factory=dict)
    labels: dict[str, Qrels] = field(default_factory=dict)
    passages: Ids = field(default_factory=lambda: Ids("doc_id"))

    def query_set(self, split: str, dropped: Counter[str]) -> QuerySet:
        """Return the queries of a split with a relevant passage; ``dropped`` counts the others.

        A passage judged irrelevant is left out and counted as ``conflicting_label`` if its text
        is relevant to the query under another id.
        """
        chosen = QuerySet({}, {}, {})
        for query_id, judged in self.labels[split].items():
            gains = {doc_id: label for doc_id, label in judged.items() if label > 0}
            if not gains:
                dropped[f"{split}_query_without_relevant".removeprefix("_")] += 1
                continue
            relevant = set(map(self.passages.key, gains))
            zeros = [doc_id for doc_id, label in judged.items() if label == 0]
            irrelevant = [d for d in zeros if self.passages.key(d) not in relevant]
            dropped["conflicting_label"] += len(zeros) - len(irrelevant)
            chosen.queries[query_id] = self.queries[query_id]
            chosen.qrels[query_id] = gains
            if irrelevant:
                chosen.irrelevant[query_id] = irrelevant
        return chosen


def read_judged(config: LabelledConfig, folder: Path, dropped: Counter[str]) -> Judged:
    """Read the rows of ``config.path`` and write all passages to the corpus ``folder``.

    The passages of ``config.corpus`` come first. Rows with an empty query or text and repeated
    judgments are left out and counted in ``dropped``; of different labels for the same pair
    the largest stays (``conflicting_label``), of different spellings of a text the first
    (``merged_query``, ``merged_passage``).

    Raises:
        InputError: a line is broken, an id stands for two texts, or a split is unknown; the
            message names file and line.
    """
    path, judged, query_ids = Path(config.path), Judged(), Ids("query_id")
    with CorpusWriter(folder) as writer:
        if config.corpus is not None:
            _read_corpus(config, judged.passages, writer, dropped)
        for row in live_line("reading labelled rows", "row", read_rows(path, config.columns)):
            if isinstance(row, Fault):
                if row.kind not in COUNTED:
                    fail(path, row.line, row.problem)
                dropped[row.kind] += 1
                continue
            doc_id, new = judged.passages.add(row.doc_id, path, row.line, row.text)
            if new:
                writer.add(doc_id, row.text.strip())
            query_id, _ = query_ids.add(row.query_id, path, row.line, row.query)
            judged.queries.setdefault(query_id, row.query.strip())
            if row.group is not None:
                judged.groups.setdefault(query_id, set()).add(row.group)
            labels = judged.labels.setdefault(_split(row, path, judged.labels), {})
            before = labels.setdefault(query_id, {}).get(doc_id)
            labels[query_id][doc_id] = row.label if before is None else max(row.label, before)
            if before is not None:
                dropped["repeated_pair" if before == row.label else "conflicting_label"] += 1
    dropped["merged_query"] += query_ids.merged
    dropped["merged_passage"] += judged.passages.merged
    return judged


def _read_corpus(
    config: LabelledConfig, ids: Ids, writer: CorpusWriter, dropped: Counter[str]
) -> None:
    path = Path(str(config.corpus))
    found = read_passages(path, config.columns, dropped)
    for passage in live_line("reading passages", "passage", found):
        doc_id, new = ids.add(passage.doc_id, path, passage.line, passage.whole, passage.text)
        if new:
            writer.add(doc_id, passage.whole)
        else:
            dropped["repeated_passage"] += 1


def _split(row: LabelledRow, path: Path, earlier: dict[str, Qrels]) -> str:
    split = ALL if row.split is None else SPLITS.get(row.split.lower())
    if split is None:
        fail(path, row.line, f'the split "{row.split}" is none of {", ".join(SPLITS)}')
    if earlier and (ALL in earlier) != (split == ALL):
        here, above = ("no split", "one") if split == ALL else (f'the split "{split}"', "none")
        fail(path, row.line, f"{here}, but the lines above have {above}; fill in all or none")
    return split
