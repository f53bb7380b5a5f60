"""Hard negatives: never relevant, never held out, nested, repeatable, bounded by the window."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.config.training import MiningConfig
from pipeline.data.text import text_key
from pipeline.experiment.shared import Shared
from pipeline.records import Dataset, InputError, QuerySet
from pipeline.training.negatives import mine_negatives
from pipeline.training.training_set import TrainingSet

# All need the small experiment, which takes seconds to make.
pytestmark = pytest.mark.slow


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


def tiny(shared: Shared, **changes: object) -> Dataset:
    """The small data set with the first training query alone, its passage and no other split."""
    query_id, text = next(iter(shared.dataset.train.queries.items()))
    one = QuerySet({query_id: text}, {query_id: shared.dataset.train.qrels[query_id]})
    return replace(shared.dataset, train=one, held_out=frozenset(), **changes)  # type: ignore[arg-type]


def best_of(shared: Shared, dataset: Dataset) -> list[str]:
    """The passages nearest to the query of ``tiny`` that are not relevant."""
    (query_id,) = dataset.train.queries
    vector = shared.embedder.encode_queries([dataset.train.queries[query_id]])
    found = [hit.doc_id for hit in shared.table.search_vector(vector, 30)[0]]
    return [doc_id for doc_id in found if doc_id not in dataset.train.qrels[query_id]]


def test_what_any_judgment_calls_relevant_is_no_negative_whatever_its_id(
    shared: Shared, tmp_path: Path
) -> None:
    dataset = tiny(shared)
    (query_id,) = dataset.train.queries
    first, second, third, fourth, fifth, *_ = best_of(shared, dataset)
    (row,) = mined(tmp_path / "all", shared, dataset)
    assert row.negative_ids == (first, second, third)
    key = {doc_id: text_key(dataset.corpus[doc_id].upper()) for doc_id in (first, second)}
    # The first is relevant to a test query, the second to this one in a judgment that was dropped.
    rules = {"held_out": {key[first]}, "also_relevant": {query_id: {key[second]}}}
    (row,) = mined(tmp_path / "rules", shared, replace(dataset, **rules))  # type: ignore[arg-type]
    assert row.negative_ids == (third, fourth, fifth)
    # Nor if a person judged them irrelevant.
    judged = replace(dataset.train, irrelevant={query_id: [first, second, fifth]})
    (row,) = mined(tmp_path / "judged", shared, replace(dataset, train=judged, **rules))  # type: ignore[arg-type]
    assert row.negative_ids == (fifth, third, fourth)
    example = next(TrainingSet(tmp_path / "judged", replace(dataset, **rules), 1).examples())  # type: ignore[arg-type]
    assert key[second] in example.relevant
    assert not example.held_out


def test_the_query_itself_is_no_negative(shared: Shared, tmp_path: Path) -> None:
    dataset = tiny(shared)
    (query_id,) = dataset.train.queries
    first, second, third, fourth, fifth, *_ = best_of(shared, dataset)
    text = dataset.train.queries[query_id]
    (relevant,) = dataset.train.qrels[query_id]
    # As in ArguAna and Quora: the query's id is that of its own document.
    same_id = replace(dataset, train=QuerySet({first: text}, {first: {relevant: 1}}))
    (row,) = mined(tmp_path / "id", shared, same_id)
    assert row.negative_ids == (second, third, fourth)
    corpus = dict(dataset.corpus.items()) | {second: text.upper(), third: dataset.corpus[first]}
    same_text = replace(dataset, corpus=corpus, train_corpus=corpus)
    (row,) = mined(tmp_path / "text", shared, same_text)
    assert row.negative_ids == (first, fourth, fifth)  # and no text twice


def test_too_small_a_corpus_is_refused(shared: Shared, tmp_path: Path) -> None:
    dataset = tiny(shared)
    few = best_of(shared, dataset)[:2]
    held_out = {text_key(text) for doc_id, text in dataset.corpus.items() if doc_id not in few}
    counted = r"mining.depth=3: none of the 1 training queries .*, the most is 2 \(of 500 passages"
    with pytest.raises(InputError, match=counted):
        mined(tmp_path, shared, replace(dataset, held_out=held_out))


def test_fewer_negatives_are_a_prefix(shared: Shared, tmp_path: Path) -> None:
    three = mined(tmp_path, shared, shared.dataset, sampling="random")
    one = TrainingSet(tmp_path, shared.dataset, 1)
    assert [row.negative_ids[:1] for row in three] == [row.negative_ids for row in one]


def test_fewer_training_queries_are_among_more_of_them(shared: Shared, tmp_path: Path) -> None:
    everything = mined(tmp_path, shared, shared.dataset)
    rows = [list(TrainingSet(tmp_path, shared.dataset, 1, queries)) for queries in (5, 20, 10**6)]
    few, more, most = ({row.query_id for row in chosen} for chosen in rows)
    assert (len(few), len(more), len(most)) == (5, 20, everything.queries)
    assert few < more < most
    assert few != set(sorted(most)[:5])
    assert len(TrainingSet(tmp_path, shared.dataset, 1, 5)) == len(rows[0])


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
    kept = mined(tmp_path, shared, shared.dataset, margin=0.3)
    assert 0 < len(kept) < len(shared.dataset.train)
    assert all(len(row.negative_ids) == 3 for row in kept)
