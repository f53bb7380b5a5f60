"""Search against brute force, odd query texts, ties, and candidates on disk."""

from pathlib import Path

import numpy as np
import pytest

from pipeline import store
from pipeline.config import IndexConfig
from pipeline.records import MODES, sort_hits
from pipeline.retrieve import read_candidates, retrieve, write_candidates
from pipeline.shared import Shared
from pipeline.store import PassageTable, build_table

ODD = ['"quoted', "a AND b", "co:lon", "wild*card", "😀", "the of and", "(((", "x" * 5000, "-not"]


def test_vector_search_is_exact(shared: Shared) -> None:
    ids = list(shared.dataset.corpus)[:200]
    queries = list(shared.dataset.test.queries.values())[:5]
    vectors = shared.embedder.encode_queries(queries)
    passages = shared.embedder.encode_passages([shared.dataset.corpus[i] for i in ids])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    found = shared.table.search_vector(vectors, len(shared.table))
    for row, hits in zip(vectors @ passages.T, found, strict=True):
        scores = {hit.doc_id: hit.score for hit in hits}
        assert len(scores) == len(shared.dataset.corpus)
        assert np.allclose([scores[i] for i in ids], row, atol=1e-5)


def test_a_batch_equals_single_searches(shared: Shared) -> None:
    vectors = shared.embedder.encode_queries(["merge two configs", "shortest path in a graph"])
    batch = shared.table.search_vector(vectors, 10)
    assert batch == [shared.table.search_vector(one[None], 10)[0] for one in vectors]


@pytest.mark.parametrize("text", ODD)
def test_odd_texts_are_only_words(shared: Shared, text: str) -> None:
    candidates = retrieve({"q": text}, shared.table, shared.embedder, 10, 60)
    assert len(candidates["vector"]["q"]) == 10
    assert len(candidates["hybrid"]["q"]) == 10
    assert candidates["fts"]["q"] == sort_hits(candidates["fts"]["q"])


def test_ties_are_cut_by_id(shared: Shared, tmp_path: Path) -> None:
    corpus = {f"d{number:02}": "the same text about graphs" for number in range(40)}
    build_table(tmp_path, corpus, shared.embedder, IndexConfig(batch_size=7))
    table = PassageTable(tmp_path)
    assert len(table) == 40
    vector = shared.embedder.encode_queries(["graphs"])
    everything = [hit.doc_id for hit in table.search_fts("graphs", 40)]
    assert everything == sorted(corpus)
    assert [hit.doc_id for hit in table.search_vector(vector, 40)[0]] == sorted(corpus)


@pytest.mark.parametrize("graph", [50_000, 100])
def test_above_the_threshold_the_index_finds_nearly_everything(
    graph: int, shared: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "PARTITION", graph)
    build_table(tmp_path, shared.dataset.corpus, shared.embedder, IndexConfig(256, 100))
    vectors = shared.embedder.encode_queries(list(shared.dataset.test.queries.values()))
    exact = shared.table.search_vector(vectors, 10)
    indexed = PassageTable(tmp_path).search_vector(vectors, 10)
    pairs = zip(exact, indexed, strict=True)
    overlap = [len({h.doc_id for h in a} & {h.doc_id for h in b}) / 10 for a, b in pairs]
    assert np.mean(overlap) > 0.9


def test_candidates_survive_the_disk(shared: Shared, tmp_path: Path) -> None:
    queries = dict(list(shared.dataset.test.queries.items())[:4]) | {"empty": "😀"}
    candidates = retrieve(queries, shared.table, shared.embedder, 7, 60)
    write_candidates(tmp_path, candidates)
    assert read_candidates(tmp_path, queries) == candidates
    assert candidates["fts"]["empty"] == []
    assert set(candidates) == set(MODES)
