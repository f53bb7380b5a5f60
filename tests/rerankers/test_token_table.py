"""A table of token vectors: passages are encoded once, and vectors of another model are refused."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pipeline.records import InputError
from pipeline.rerankers import token_table
from pipeline.rerankers.token_codec import TokenCodec, Vectors
from pipeline.rerankers.token_table import TokenTable

CODEC = TokenCodec("fp16", 2)
MADE_BY = {"model": "a"}
PASSAGES = {"1": "one", "it's": "a quote", "3": "three"}


class Encoder:
    """Gives the passage with number n of its texts n + 1 tokens, and counts what it encodes."""

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def __call__(self, doc_ids: Sequence[str]) -> list[Vectors]:
        self.encoded += doc_ids
        return [self.of(doc_id) for doc_id in doc_ids]

    def of(self, doc_id: str) -> Vectors:
        return np.full((len(doc_id), 2), 0.5, dtype=np.float32)


def test_what_is_added_is_read(tmp_path: Path) -> None:
    table, encoder = TokenTable(tmp_path, CODEC, MADE_BY), Encoder()
    assert table.read(PASSAGES) == {}
    assert table.add(PASSAGES, encoder) == len(table) == 3
    table.index()
    found = table.read(PASSAGES)
    assert {doc_id: vectors.tolist() for doc_id, vectors in found.items()} == {
        doc_id: encoder.of(doc_id).tolist() for doc_id in PASSAGES
    }
    assert list(table.read({"it's": "a quote", "2": "not there"})) == ["it's"]


def test_only_new_and_changed_passages_are_encoded(tmp_path: Path) -> None:
    encoder = Encoder()
    TokenTable(tmp_path, CODEC, MADE_BY).add(PASSAGES, encoder)
    encoder.encoded.clear()
    table = TokenTable(tmp_path, CODEC, MADE_BY)
    changed = PASSAGES | {"3": "another text", "4": "four"}
    assert list(table.read(changed)) == ["1", "it's"]  # a changed text has no vectors yet
    assert table.add(changed, encoder) == 2
    assert encoder.encoded == ["3", "4"]
    assert len(table) == 4
    assert sorted(table.read(changed)) == ["1", "3", "4", "it's"]
    assert table.add(changed, encoder) == 0


@pytest.mark.parametrize(
    ("codec", "made_by", "names"),
    [
        (CODEC, {"model": "b"}, "model=a, not b"),
        (TokenCodec("int8", 2), MADE_BY, "kind=fp16, not int8"),
        (CODEC, {"model": "a", "token_pooling": "2"}, "token_pooling=nothing, not 2"),
    ],
)
def test_other_vectors_are_refused(
    codec: TokenCodec, made_by: dict[str, str], names: str, tmp_path: Path
) -> None:
    TokenTable(tmp_path, CODEC, MADE_BY)
    with pytest.raises(InputError, match=names) as refused:
        TokenTable(tmp_path, codec, made_by)
    assert str(tmp_path) in str(refused.value)


@pytest.mark.parametrize("alone", [True, False])
def test_merged_files_are_kept_for_readers(
    alone: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_table, "BATCH", 1)  # a file for each passage
    monkeypatch.setattr(token_table, "IN_MEMORY", 0)  # the reader reads the files
    table, encoder = TokenTable(tmp_path, CODEC, MADE_BY), Encoder()
    table.add(PASSAGES, encoder)
    reader = TokenTable(tmp_path, CODEC, MADE_BY)
    table.index(alone)
    assert len(list(tmp_path.glob("*/data/*"))) == (1 if alone else 4)
    if not alone:
        assert len(reader.read(PASSAGES)) == 3
