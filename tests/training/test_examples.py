"""What each training example looks like, by hand."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.config.models import DISTILLING
from pipeline.data.text import text_key
from pipeline.records import Dataset, QuerySet, TrainingExample, TrainingRow
from pipeline.training.examples import columns
from pipeline.training.schedule import LISTWISE
from pipeline.training.training_set import FILE, SCHEMA, TrainingSet

ROWS = [
    TrainingExample("q", "good", 2, 1.0, ["bad", "worse"], teacher=(3.0, 1.0, 0.5)),
    TrainingExample("q", "fair", 1, 0.5, ["bad", "worse"], teacher=(2.0, 1.0, 0.5)),
]


def test_pairs_carry_graded_labels_up_to_one() -> None:
    assert [tuple(row.values()) for row in columns("bce", ROWS)] == [
        ("q", "good", 1.0),
        ("q", "bad", 0.0),
        ("q", "worse", 0.0),
        ("q", "fair", 0.5),
        ("q", "bad", 0.0),
        ("q", "worse", 0.0),
    ]


@pytest.mark.parametrize("loss", [loss for loss in LISTWISE if loss not in DISTILLING])
def test_lists_hold_every_passage_of_a_query_once_with_its_gain(loss: str) -> None:
    (row,) = columns(loss, ROWS)
    assert row["passages"] == ["good", "fair", "bad", "worse"]
    assert row["label"] == [2.0, 1.0, 0.0, 0.0]


def test_two_queries_of_the_same_text_have_a_list_each() -> None:
    rows = [ROWS[0]._replace(query_id="1"), ROWS[1]._replace(query_id="2", negatives=["c", "d"])]
    lists = columns("listnet", rows)
    assert [row["passages"] for row in lists] == [["good", "bad", "worse"], ["fair", "c", "d"]]


def test_the_gains_of_the_data_become_the_labels_of_each_loss(tmp_path: Path) -> None:
    corpus = {"a": "first", "b": "second", "c": "third", "n": "none"}
    nothing = QuerySet({}, {})
    train = QuerySet({"q": "query", "r": "other"}, {"q": {"a": 3, "b": 1}, "r": {"c": 4}})
    dataset = Dataset("tiny", "f" * 64, corpus, corpus, train, nothing, nothing)
    mined = [("q", "a", ["n"]), ("q", "b", ["n"]), ("r", "c", ["n"])]
    rows = [TrainingRow(*row)._asdict() for row in mined]  # type: ignore[arg-type]
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), tmp_path / FILE)
    examples = list(TrainingSet(tmp_path, dataset, 1).examples())
    labels = [row["label"] for row in columns("bce", examples)]
    assert labels == [0.75, 0.0, 0.25, 0.0, 1.0, 0.0]
    assert [row["label"] for row in columns("listnet", examples)] == [[3.0, 1.0, 0.0], [4.0, 0.0]]
    assert examples[1].relevant == (text_key("first"), text_key("second"))


def test_tuples_and_the_teachers_scores() -> None:
    texts = {"query": "q", "positive": "good", "negative_1": "bad", "negative_2": "worse"}
    first, second = columns("mnrl", ROWS)
    assert list(columns("lce", ROWS)) == [first, second]
    assert first == {**texts, "label": 0}
    assert second["label"] == 1  # the number of the row
    scored, _ = columns("margin_mse", ROWS)
    assert scored == {**texts, "label": [3.0, 1.0, 0.5]}
    listed, _ = columns("distillation", ROWS)
    assert listed["documents"] == ["good", "bad", "worse"]
    (whole,) = columns("kl", ROWS)
    assert whole["passages"] == ["good", "fair", "bad", "worse"]
    assert whole["label"] == [3.0, 2.0, 1.0, 0.5]
    pairs = [tuple(row.values()) for row in columns("mse", ROWS)]
    assert pairs[:3] == [("q", "good", 3.0), ("q", "bad", 1.0), ("q", "worse", 0.5)]
    assert pairs[3] == ("q", "fair", 2.0)
