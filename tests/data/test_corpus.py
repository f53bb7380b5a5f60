import json
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.data.corpus import ROWS_PER_BATCH, Corpus, CorpusWriter, DuplicateId


def write(folder: Path, passages: list[tuple[str, str]]) -> Corpus:
    with CorpusWriter(folder) as writer:
        for doc_id, text in passages:
            writer.add(doc_id, text)
    return Corpus(folder)


PASSAGES = [(f"d{n * 7919 % 5000}", f"text {n} é {'x' * (n % 50)}") for n in range(5000)]


def test_reads_back_what_was_written_over_several_batches(tmp_path: Path) -> None:
    corpus = write(tmp_path / "c", PASSAGES)

    assert len(PASSAGES) > 4 * ROWS_PER_BATCH
    assert len(corpus) == 5000
    assert list(corpus.items()) == PASSAGES
    assert list(corpus) == [doc_id for doc_id, _ in PASSAGES]
    assert list(corpus.values()) == [text for _, text in PASSAGES]
    assert all(corpus[doc_id] == text for doc_id, text in PASSAGES)
    assert corpus.id_of(4999) == PASSAGES[4999][0]


def test_is_a_mapping(tmp_path: Path) -> None:
    corpus = write(tmp_path / "c", [("b", "2"), ("a", "1")])

    assert "a" in corpus
    assert "c" not in corpus
    assert corpus.get("c") is None
    assert dict(corpus) == {"b": "2", "a": "1"}
    assert ("b", "2") in corpus.items()
    with pytest.raises(KeyError):
        corpus["c"]


def test_texts_stay_on_disk(tmp_path: Path) -> None:
    write(tmp_path / "c", [(f"d{n}", "x" * 10_000) for n in range(3000)])

    before = pa.total_allocated_bytes()
    corpus = Corpus(tmp_path / "c")
    assert len(corpus["d1500"]) == 10_000
    assert pa.total_allocated_bytes() - before < 100_000  # of 30 MB


def test_iteration_holds_one_batch(tmp_path: Path) -> None:
    import tracemalloc

    corpus = write(tmp_path / "c", [(f"d{n}", "x" * 2000) for n in range(10 * ROWS_PER_BATCH)])
    tracemalloc.start()
    assert sum(len(text) for _, text in corpus.items()) == 20_480_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * ROWS_PER_BATCH * 2100


def test_fingerprint_tells_contents_apart_but_not_places(tmp_path: Path) -> None:
    base = write(tmp_path / "1", [("a", "1"), ("b", "2")])

    assert write(tmp_path / "2", [("a", "1"), ("b", "2")]).fingerprint == base.fingerprint
    others = [
        [("a", "1"), ("b", "3")],
        [("a", "1"), ("c", "2")],
        [("b", "2"), ("a", "1")],
        [("a", "1b"), ("", "2")],
        [("a1", ""), ("b", "2")],
        [("a", "1")],
    ]
    found = {write(tmp_path / f"o{n}", rows).fingerprint for n, rows in enumerate(others)}
    assert len(found | {base.fingerprint}) == len(others) + 1


def test_same_passages_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("1", "2"):
        write(tmp_path / name, PASSAGES)
    for file in ("passages.arrow", "index.npy", "corpus.json"):
        assert (tmp_path / "1" / file).read_bytes() == (tmp_path / "2" / file).read_bytes()


def test_repeated_id_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DuplicateId, match=r"^d17$"):
        write(tmp_path / "c", [*PASSAGES, ("d17", "again")])


def test_empty(tmp_path: Path) -> None:
    corpus = write(tmp_path / "c", [])

    assert len(corpus) == 0
    assert list(corpus.items()) == []
    assert "a" not in corpus


def test_failed_writing_leaves_no_facts(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), CorpusWriter(tmp_path / "c") as writer:
        writer.add("a", "1")
        raise RuntimeError
    assert not (tmp_path / "c" / "corpus.json").exists()


def test_facts_are_plain_json(tmp_path: Path) -> None:
    corpus = write(tmp_path / "c", [("a", "1")])
    facts = json.loads((tmp_path / "c" / "corpus.json").read_text())
    assert facts == {"count": 1, "fingerprint": corpus.fingerprint}
