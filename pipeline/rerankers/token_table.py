"""Token vectors of passages in a LanceDB table: encoded once, read when a query needs them.

The table stands beside that of the search. It has a row per passage: its id, a hash of its text,
and its token vectors, as a multivector column. New and changed passages are encoded, all others
stay. What made the vectors is written into the schema, and vectors of another model are refused.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from itertools import islice
from pathlib import Path

import lancedb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from lancedb.index import BTree

from pipeline.records import InputError
from pipeline.rerankers.token_codec import Codes, TokenCodec, Vectors
from pipeline.retrieval.ties import tie_key

TABLE = "token_vectors"
COLUMNS = ["id", "text_hash", "tokens", "scales"]
BATCH = 512  # passages that are looked up, encoded and written at a time, bounds memory
IN_MEMORY = 2**30  # bytes of a table up to which it is read once and kept
REFRESHED = timedelta(minutes=1)  # how often a reader looks for a newer version
# How long merged files stay on disk: a reader needs them until it looks for a newer version.
KEPT = timedelta(hours=1)

Embed = Callable[[Sequence[str]], Sequence[Vectors]]
"""Passage ids -> the token vectors of each."""


class TokenTable:
    """The token vectors in the LanceDB database ``folder``, made there if it has none.

    ``made_by`` names what the vectors depend on, such as the hash of the model.
    """

    def __init__(self, folder: Path, codec: TokenCodec, made_by: Mapping[str, str]) -> None:
        """Open the table.

        Raises:
            InputError: it holds vectors of another model, or that are stored in another way.
        """
        self._codec = codec
        self._folder = folder
        self._fits: bool | None = None  # into memory; None: not looked at yet
        self._kept: _Rows | None = None
        made_by = {"kind": codec.kind, "size": str(codec.size), **made_by}
        database = lancedb.connect(folder, read_consistency_interval=REFRESHED)
        if TABLE in database.table_names():
            self.table = database.open_table(TABLE)
            self._must_be(made_by)
        else:
            self.table = database.create_table(TABLE, schema=_schema(codec, made_by))

    def __len__(self) -> int:
        rows: int = self.table.count_rows()
        return rows

    def add(self, passages: Mapping[str, str], embed: Embed) -> int:
        """Store those ``passages`` (id -> text) that are new or whose text has changed.

        Returns how many these were. ``index`` makes reading fast again. An interrupted call is
        resumed by the next one.
        """
        self._kept = self._fits = None
        added, left = 0, iter(passages.items())
        while some := dict(islice(left, BATCH)):
            stored = self._hashes(some)
            hashes = {doc_id: tie_key(text) for doc_id, text in some.items()}
            wanted = [doc_id for doc_id in some if stored.get(doc_id) != hashes[doc_id]]
            if changed := [doc_id for doc_id in wanted if doc_id in stored]:
                self.table.delete(_among(changed))
            if wanted:
                self.table.add(self._rows(wanted, hashes, embed(wanted)))
            added += len(wanted)
        return added

    def index(self, alone: bool = False) -> None:
        """Index the ids of all rows, and merge small files.

        The files that were merged stay on the disk: the next call after ``KEPT`` deletes them.
        ``alone`` promises that nothing else has the table open; they are then deleted at once.
        """
        # At 0 LanceDB would warn that readers fail; there are none.
        older = timedelta(milliseconds=1) if alone else KEPT
        # Unverified files are those that an interrupted write has left.
        self.table.optimize(cleanup_older_than=older, delete_unverified=alone)
        self.table.create_index("id", config=BTree())

    def read(self, passages: Mapping[str, str]) -> dict[str, Vectors]:
        """Read the token vectors of ``passages`` (id -> text), as float32.

        A passage that is not stored, or whose text has changed, is left out. A table of up to
        ``IN_MEMORY`` bytes is kept in memory from the first call on.
        """
        if self._fits is None:
            self._fits = self.table.stats()["total_bytes"] <= IN_MEMORY
        if self._fits and self._kept is None:
            self._kept = _Rows(self.table.search().select(COLUMNS).limit(len(self)).to_arrow())
        rows = self._kept
        if rows is None:
            query = self.table.search().where(_among(passages)).limit(len(passages))
            rows = _Rows(query.select(COLUMNS).to_arrow())
        fresh = [
            d for d in passages if d in rows.places and rows.hash_of(d) == tie_key(passages[d])
        ]
        if not fresh:
            return {}
        codes, ends = rows.codes(fresh, self._codec.width)
        return dict(zip(fresh, np.split(self._codec.decode(codes), ends), strict=True))

    def _hashes(self, doc_ids: Iterable[str]) -> dict[str, int]:
        """The hashes of the texts of those of ``doc_ids`` that are stored."""
        query = self.table.search().where(_among(doc_ids)).select(["id", "text_hash"])
        rows = query.limit(BATCH).to_arrow()
        return dict(zip(rows["id"].to_pylist(), rows["text_hash"].to_pylist(), strict=True))

    def _rows(
        self, doc_ids: Sequence[str], hashes: Mapping[str, int], vectors: Sequence[Vectors]
    ) -> pa.Table:
        codes = self._codec.encode(np.concatenate(vectors))
        ends = np.cumsum([0, *map(len, vectors)]).astype(np.int32)
        numbers = pa.array(codes.numbers.reshape(-1))
        tokens = pa.FixedSizeListArray.from_arrays(numbers, self._codec.width)
        columns = [
            pa.array(doc_ids),
            pa.array([hashes[doc_id] for doc_id in doc_ids], pa.int64()),
            pa.ListArray.from_arrays(pa.array(ends), tokens),
            pa.ListArray.from_arrays(pa.array(ends), pa.array(codes.scales)),
        ]
        return pa.Table.from_arrays(columns, schema=self.table.schema)

    def _must_be(self, made_by: Mapping[str, str]) -> None:
        saved = self.table.schema.metadata or {}
        for name, ours in made_by.items():
            theirs = saved.get(name.encode(), b"nothing").decode()
            if theirs != ours:
                raise InputError(
                    f"{self._folder}: its token vectors were made with {name}={theirs}, not "
                    f"{ours}; name another folder, or delete it to encode the passages again"
                )


class _Rows:
    """Rows of the table in memory; ``places`` is by passage id."""

    def __init__(self, rows: pa.Table) -> None:
        rows = rows.combine_chunks()
        self.places = {doc_id: place for place, doc_id in enumerate(rows["id"].to_pylist())}
        self._hashes = rows["text_hash"].to_numpy()
        tokens, scales = rows["tokens"], rows["scales"]
        self._lengths = pc.list_value_length(tokens).to_numpy()
        self._starts = np.cumsum([0, *self._lengths])
        self._numbers = pc.list_flatten(pc.list_flatten(tokens)).to_numpy()
        self._scales = pc.list_flatten(scales).to_numpy()

    def hash_of(self, doc_id: str) -> int:
        """The hash of the text that the vectors were made of."""
        return int(self._hashes[self.places[doc_id]])

    def codes(self, doc_ids: Sequence[str], width: int) -> tuple[Codes, npt.NDArray[np.int64]]:
        """The codes of some passages in one piece, and where each but the last ends."""
        places = [self.places[doc_id] for doc_id in doc_ids]
        spans = [slice(self._starts[p], self._starts[p + 1]) for p in places]
        numbers = self._numbers.reshape(-1, width)
        codes = Codes(
            np.concatenate([numbers[span] for span in spans]),
            np.concatenate([self._scales[span] for span in spans]),
        )
        return codes, np.cumsum(self._lengths[places])[:-1]


def _schema(codec: TokenCodec, made_by: Mapping[str, str]) -> pa.Schema:
    numbers = pa.list_(pa.from_numpy_dtype(codec.dtype), codec.width)
    fields = [
        pa.field("id", pa.string()),
        pa.field("text_hash", pa.int64()),
        pa.field("tokens", pa.list_(numbers)),
        pa.field("scales", pa.list_(pa.float16())),
    ]
    return pa.schema(fields, metadata=dict(made_by))


def _among(doc_ids: Iterable[str]) -> str:
    """SQL for the rows with one of these ids."""
    quoted = (doc_id.replace("'", "''") for doc_id in doc_ids)
    return "id IN (" + ", ".join(f"'{doc_id}'" for doc_id in quoted) + ")"
