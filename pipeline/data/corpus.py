"""Keep passages on disk: id -> text, memory-mapped, never all in memory.

A corpus is a folder of three files: ``passages.arrow`` (Arrow IPC, columns ``id`` and
``text``, batches of 1,024 rows), ``index.npy`` (for every row the hash of its id and its row
number, sorted by hash) and ``corpus.json`` (row count and fingerprint). The first two are
mapped, so a process holds only the parts that it reads, whatever the number of passages.
"""

import hashlib
import json
from array import array
from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa

ROWS_PER_BATCH = 1024  # every batch but the last is full, so a row number names its batch
SCHEMA = pa.schema([("id", pa.string()), ("text", pa.string())])


class DuplicateId(ValueError):
    """Two rows of a corpus have the same id; ``args[0]`` is that id."""


def _id_hash(doc_id: str) -> int:
    """Hash an id to 8 bytes, the same on every machine."""
    return int.from_bytes(hashlib.blake2b(doc_id.encode(), digest_size=8).digest(), "little")


def update_digest(digest: Any, *texts: str) -> None:
    """Add texts to a hashlib object, each with its length, so that no two lists are alike."""
    for text in texts:
        data = text.encode()
        digest.update(f"{len(data)}:".encode())
        digest.update(data)


class Corpus(Mapping[str, str]):
    """Passage id -> text, in the order in which the passages were written.

    Looking an id up costs a binary search; iterating over ``items()`` streams batches.
    ``fingerprint`` is a sha256 over all ids and texts in order.
    """

    def __init__(self, folder: Path) -> None:
        facts = json.loads((folder / "corpus.json").read_text())
        self.fingerprint: str = facts["fingerprint"]
        self._count: int = facts["count"]
        self._index = np.load(folder / "index.npy", mmap_mode="r" if self._count else None)
        reader = pa.ipc.open_file(pa.memory_map(str(folder / "passages.arrow")))
        self._batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, doc_id: str) -> str:
        hashes, rows = self._index
        wanted = np.uint64(_id_hash(doc_id))
        at = int(np.searchsorted(hashes, wanted))
        while at < self._count and hashes[at] == wanted:  # ids may share a hash
            if self.id_of(int(rows[at])) == doc_id:
                return self._cell(int(rows[at]), 1)
            at += 1
        raise KeyError(doc_id)

    def id_of(self, row: int) -> str:
        """Return the id of the passage at this place, from 0 in the order of iteration."""
        return self._cell(row, 0)

    def _cell(self, row: int, column: int) -> str:
        batch, offset = divmod(row, ROWS_PER_BATCH)
        return str(self._batches[batch].column(column)[offset].as_py())

    def __iter__(self) -> Iterator[str]:
        for batch in self._batches:
            yield from batch.column(0).to_pylist()

    def items(self) -> ItemsView[str, str]:
        """View the (id, text) pairs, one batch in memory at a time."""
        return _Items(self)

    def values(self) -> ValuesView[str]:
        """View the texts, one batch in memory at a time."""
        return _Values(self)

    def stream(self) -> Iterator[tuple[str, str]]:
        """Yield (id, text) pairs, one batch in memory at a time."""
        for batch in self._batches:
            yield from zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True)

    def __repr__(self) -> str:
        return f"Corpus({len(self)} passages, {self.fingerprint[:12]})"


class _Items(ItemsView[str, str]):
    _mapping: Corpus

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return self._mapping.stream()


class _Values(ValuesView[str]):
    _mapping: Corpus

    def __iter__(self) -> Iterator[str]:
        return (text for _, text in self._mapping.stream())


class CorpusWriter:
    """Write a corpus in batches; use as a context manager.

    Holds one batch of texts and 8 bytes per passage.

    Raises:
        DuplicateId: on leaving, an id was added twice.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._sink = pa.OSFile(str(folder / "passages.arrow"), "wb")
        self._writer = pa.ipc.new_file(self._sink, SCHEMA)
        self._ids: list[str] = []
        self._texts: list[str] = []
        self._hashes = array("Q")
        self._digest = hashlib.sha256()

    def add(self, doc_id: str, text: str) -> None:
        """Append one passage."""
        update_digest(self._digest, doc_id, text)
        self._hashes.append(_id_hash(doc_id))
        self._ids.append(doc_id)
        self._texts.append(text)
        if len(self._ids) == ROWS_PER_BATCH:
            self._flush()

    def _flush(self) -> None:
        if self._ids:
            self._writer.write_batch(pa.record_batch([self._ids, self._texts], schema=SCHEMA))
            self._ids, self._texts = [], []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self._flush()
        self._writer.close()
        self._sink.close()
        if kind is None:
            self._finish()

    def _finish(self) -> None:
        hashes = np.frombuffer(self._hashes, dtype=np.uint64)
        rows = np.argsort(hashes, kind="stable").astype(np.uint64)
        np.save(self._folder / "index.npy", np.stack([hashes[rows], rows]))
        facts = {"count": len(hashes), "fingerprint": self._digest.hexdigest()}
        (self._folder / "corpus.json").write_text(json.dumps(facts))
        self._check_unique(hashes[rows], rows)

    def _check_unique(self, hashes: "np.ndarray[Any, Any]", rows: "np.ndarray[Any, Any]") -> None:
        corpus = Corpus(self._folder)
        same = np.flatnonzero(hashes[1:] == hashes[:-1])
        seen: set[str] = set()
        for row in np.unique(rows[np.concatenate([same, same + 1])]):
            doc_id = corpus.id_of(int(row))
            if doc_id in seen:
                raise DuplicateId(doc_id)
            seen.add(doc_id)
