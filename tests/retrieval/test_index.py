"""Search against brute force, odd query texts, ties, and candidates on disk."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pipeline.config.index import IndexConfig
from pipeline.experiment.shared import Shared
from pipeline.infra.stage_cache import StageCache
from pipeline.records import SEARCHES, sort_hits
from pipeline.retrieval import candidates
from pipeline.retrieval import index as store
from pipeline.retrieval.candidates import read_candidates, retrieve, write_candidates
from pipeline.retrieval.embedder import Embedder, Vectors
from pipeline.retrieval.index import PassageTable, build_table
from pipeline.retrieval.ties import tie_key

# All need the small experiment, which takes seconds to make.
pytestmark = pytest.mark.slow

ODD = ['"quoted', '"sort list"', '""', "a AND b", "co:lon", "wild*card", "(((", "-not"]
ODD += ["😀", "the of and", "x" * 5000]


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


def test_a_text_in_quotes_is_no_phrase(shared: Shared) -> None:
    plain, quoted = (shared.table.search_fts(text, 10) for text in ("sort list", '"list sort"'))
    assert plain == quoted != []


@pytest.mark.parametrize("text", ODD)
def test_odd_texts_are_only_words(shared: Shared, text: str) -> None:
    found = retrieve({"q": text}, shared.table, shared.embedder, 10, 100, 60, {})
    assert len(found["vector"]["q"]) == 10
    assert len(found["hybrid"]["q"]) == 10
    assert found["fts"]["q"] == sort_hits(found["fts"]["q"])


def test_ties_are_in_an_order_that_ids_do_not_change(shared: Shared, tmp_path: Path) -> None:
    """Forty passages of one BM25 score, of which LanceDB would return any five."""
    texts = [f"graphs {chr(97 + n // 26)}{chr(97 + n % 26)}q" for n in range(40)]
    orders = []
    for name, ids in (("up", range(40)), ("down", range(39, -1, -1))):
        corpus = {f"d{i:02}": text for i, text in zip(ids, texts, strict=True)}
        build_table(
            tmp_path / name, corpus, shared.embedder, IndexConfig(), tmp_path / f"{name}-kept"
        )
        hits = PassageTable(tmp_path / name).search_fts("graphs", 5)
        assert len({hit.score for hit in hits}) == 1
        orders.append([corpus[hit.doc_id] for hit in hits])
    assert orders[0] == orders[1] == sorted(texts, key=tie_key)[:5]


def test_passages_of_one_text_are_in_the_order_of_their_ids(shared: Shared, tmp_path: Path) -> None:
    corpus = {f"d{number:02}": "the same text about graphs" for number in range(40)}
    table_folder = tmp_path / "table"
    build_table(table_folder, corpus, shared.embedder, IndexConfig(batch_size=7), tmp_path / "kept")
    table = PassageTable(table_folder)
    assert len(table) == 40
    vector = shared.embedder.encode_queries(["graphs"])
    for depth in (3, 40):
        everything = [hit.doc_id for hit in table.search_fts("graphs", depth)]
        assert everything == sorted(corpus)[:depth]
        nearest = [hit.doc_id for hit in table.search_vector(vector, depth)[0]]
        assert nearest == sorted(corpus)[:depth]


def test_a_passage_that_is_left_out_makes_room_for_the_next(shared: Shared) -> None:
    text = next(iter(shared.dataset.test.queries.values()))
    vector = shared.embedder.encode_queries([text])
    whole, by_text = shared.table.search_vector(vector, 6)[0], shared.table.search_fts(text, 6)
    assert shared.table.search_vector(vector, 5, [whole[0].doc_id]) == [whole[1:]]
    assert shared.table.search_fts(text, 5, by_text[2].doc_id) == by_text[:2] + by_text[3:]


@pytest.mark.parametrize("graph", [50_000, 100])
def test_above_the_threshold_the_index_finds_nearly_everything(
    graph: int, shared: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "PARTITION", graph)
    config = IndexConfig(256, 100)
    build_table(tmp_path, shared.dataset.corpus, shared.embedder, config, tmp_path / "kept")
    vectors = shared.embedder.encode_queries(list(shared.dataset.test.queries.values()))
    exact = shared.table.search_vector(vectors, 10)
    indexed = PassageTable(tmp_path).search_vector(vectors, 10)
    pairs = zip(exact, indexed, strict=True)
    overlap = [len({h.doc_id for h in a} & {h.doc_id for h in b}) / 10 for a, b in pairs]
    assert np.mean(overlap) > 0.9


class Counting(Embedder):
    """Counts the passages it embeds and gives up at the one after ``limit``."""

    def __init__(self, inner: Embedder, limit: int) -> None:
        self.inner, self.limit, self.passages = inner, limit, 0
        self.dimension = inner.dimension

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        if self.passages + len(texts) > self.limit:
            raise MemoryError
        self.passages += len(texts)
        return self.inner.encode_passages(texts)


def test_embedding_goes_on_where_it_was_interrupted(shared: Shared, tmp_path: Path) -> None:
    corpus = dict(list(shared.dataset.corpus.items())[:50])
    config = IndexConfig(batch_size=10)
    embedded = StageCache(tmp_path).unfinished("index", {})

    def build(embedder: Embedder) -> Path:
        def table(folder: Path) -> None:
            build_table(folder, corpus, embedder, config, embedded)

        return StageCache(tmp_path).get("index", {}, table)

    with pytest.raises(MemoryError):
        build(Counting(shared.embedder, 30))
    kept = sorted(path.name for path in embedded.iterdir())
    assert kept == ["000000", "000001", "000002"]
    (embedded / "000001" / "vectors.npy").write_bytes(b"damaged")
    (embedded / "000002" / "manifest.json").unlink()  # as if killed while it was written

    rest = Counting(shared.embedder, 1000)
    resumed = PassageTable(build(rest)).table.to_arrow()
    assert rest.passages == 40
    assert not embedded.exists()
    build_table(tmp_path / "whole", corpus, shared.embedder, config, tmp_path / "kept")
    assert resumed == PassageTable(tmp_path / "whole").table.to_arrow()


def test_candidates_survive_the_disk(shared: Shared, tmp_path: Path) -> None:
    queries = dict(list(shared.dataset.test.queries.items())[:4]) | {"empty": "😀"}
    found = retrieve(queries, shared.table, shared.embedder, 7, 100, 60, {})
    write_candidates(tmp_path, found)
    assert read_candidates(tmp_path, queries) == found
    assert found["fts"]["empty"] == []
    assert set(found) == set(SEARCHES)


def test_batches_of_queries_find_what_one_batch_finds(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = dict(list(shared.dataset.test.queries.items())[:8])
    arguments = (shared.table, shared.embedder, 7, 100, 60)
    nearest = retrieve(queries, *arguments, {})["vector"]
    own = {query_id: hits[0].doc_id for query_id, hits in nearest.items()}
    whole = retrieve(queries, *arguments, own)
    monkeypatch.setattr(candidates, "BATCH", 3)
    parts = retrieve(queries, *arguments, own)
    for search in SEARCHES:
        assert list(parts[search]) == list(queries)
        for query_id, hits in parts[search].items():
            expected = whole[search][query_id]
            assert [hit.doc_id for hit in hits] == [hit.doc_id for hit in expected]
            scores = [hit.score for hit in expected]
            assert [hit.score for hit in hits] == pytest.approx(scores, abs=1e-6)
