"""Hard negatives: never relevant, never held out, nested, repeatable, bounded by the window."""

from dataclasses import replace
from pathlib import Path

from pipeline.config.stages import MiningConfig
from pipeline.experiment.shared import Shared
from pipeline.records import Dataset, QuerySet
from pipeline.training.negatives import TrainingSet, mine_negatives


def mined(folder: Path, shared: Shared, dataset: Dataset, **changes: object) -> TrainingSet:
    config = replace(MiningConfig(depth=3, first_rank=0, last_rank=30), **changes)  # type: ignore[arg-type]
    folder.mkdir(exist_ok=True)
    mine_negatives(folder, dataset, shared.table, shared.embedder, config, seed=0)
    return TrainingSet(folder, dataset, config.depth)


def test_negatives_are_neither_relevant_nor_held_out(shared: Shared, tmp_path: Path) -> None:
    rows = list(mined(tmp_path, shared, shared.dataset))
    assert len(rows) == len(shared.dataset.train)
    held_out = {
        doc
        for split in (shared.dataset.dev, shared.dataset.test)
        for judged in split.qrels.values()
        for doc in judged
    }
    for row in rows:
        assert len(set(row.negative_ids)) == 3
        assert not set(row.negative_ids) & (set(shared.dataset.train.qrels[row.query_id]))
        assert not set(row.negative_ids) & held_out


def test_same_text_as_the_positive_is_no_negative(shared: Shared, tmp_path: Path) -> None:
    query_id, text = next(iter(shared.dataset.train.queries.items()))
    vector = shared.embedder.encode_queries([text])
    best, second = (hit.doc_id for hit in shared.table.search_vector(vector, 2)[0])
    corpus = dict(shared.dataset.corpus.items())
    corpus[second] = corpus[best]
    one = QuerySet({query_id: text}, {query_id: {best: 1}})
    empty = QuerySet({}, {})
    dataset = replace(
        shared.dataset, corpus=corpus, train_corpus=corpus, train=one, dev=empty, test=empty
    )
    (row,) = mined(tmp_path, shared, dataset)
    third = shared.table.search_vector(vector, 3)[0][2].doc_id
    assert row.positive_id == best
    assert second not in row.negative_ids
    assert row.negative_ids[0] == third


def test_fewer_negatives_are_a_prefix(shared: Shared, tmp_path: Path) -> None:
    three = mined(tmp_path, shared, shared.dataset, sampling="random")
    one = TrainingSet(tmp_path, shared.dataset, 1)
    assert [row.negative_ids[:1] for row in three] == [row.negative_ids for row in one]


def test_random_sampling_repeats_and_depends_on_nothing_else(
    shared: Shared, tmp_path: Path
) -> None:
    first = list(mined(tmp_path / "a", shared, shared.dataset, sampling="random"))
    again = list(mined(tmp_path / "b", shared, shared.dataset, sampling="random", chunk_size=5))
    assert sorted(first) == sorted(again)
    assert first != list(mined(tmp_path / "c", shared, shared.dataset))


def test_the_window_bounds_the_ranks(shared: Shared, tmp_path: Path) -> None:
    rows = mined(tmp_path, shared, shared.dataset, first_rank=10, last_rank=30)
    assert len(rows)
    for row in rows:
        vector = shared.embedder.encode_queries([shared.dataset.train.queries[row.query_id]])
        ranked = [hit.doc_id for hit in shared.table.search_vector(vector, 30)[0]]
        assert all(ranked.index(doc_id) >= 10 for doc_id in row.negative_ids)


def test_a_margin_keeps_only_less_similar_passages(shared: Shared, tmp_path: Path) -> None:
    margin = 0.1
    rows = list(mined(tmp_path, shared, shared.dataset, margin=margin, last_rank=200))
    assert rows
    for row in rows:
        vector = shared.embedder.encode_queries([shared.dataset.train.queries[row.query_id]])
        scores = dict(shared.table.search_vector(vector, len(shared.table))[0])
        for doc_id in row.negative_ids:
            assert scores[doc_id] <= scores[row.positive_id] - margin + 1e-6


def test_queries_that_cannot_be_filled_are_dropped_for_all(shared: Shared, tmp_path: Path) -> None:
    kept = mined(tmp_path, shared, shared.dataset, margin=0.9)
    assert len(kept) < len(shared.dataset.train)
    assert all(len(row.negative_ids) == 3 for row in kept)
