"""A teacher's scores: each pair once, one row per training row, whatever the number of queries."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.records import Dataset, QuerySet
from pipeline.training import teacher, training_set
from pipeline.training.teacher import with_teacher, write_scores
from pipeline.training.training_set import TrainingSet
from tests.scorers import OfPassage

CORPUS = {"a": "first", "b": "second", "c": "third", "n": "none", "m": "nor"}
SCORES = {"a": 4.0, "b": 3.0, "c": 2.0, "n": -1.0, "m": -2.0}
ROWS = [("q", "a", ["n", "m"]), ("q", "b", ["n", "m"]), ("r", "c", ["m", "n"])]


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Two training queries, the first with two relevant passages; their rows are in the folder."""
    train = QuerySet({"q": "query", "r": "other"}, {"q": {"a": 3, "b": 1}, "r": {"c": 4}})
    rows = [dict(zip(training_set.SCHEMA.names, row, strict=True)) for row in ROWS]
    table = pa.Table.from_pylist(rows, schema=training_set.SCHEMA)
    pq.write_table(table, tmp_path / training_set.FILE)
    nothing = QuerySet({}, {})
    return Dataset("tiny", "f" * 64, CORPUS, CORPUS, train, nothing, nothing)


def test_every_row_gets_the_scores_of_its_positive_and_negatives(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teacher, "QUERIES", 1)
    rows, scorer = TrainingSet(tmp_path, dataset, 2), OfPassage(SCORES)
    write_scores(tmp_path, rows, dataset, scorer)
    # Both rows of a query in one call, and each pair once.
    assert [[passage for _, passage in call] for call in scorer.calls] == [
        ["a", "b", "n", "m"],
        ["c", "m", "n"],
    ]
    halved = with_teacher(rows.examples(), tmp_path, temperature=2.0)
    assert [row.teacher for row in halved] == [[2, -0.5, -1], [1.5, -0.5, -1], [1, -1, -0.5]]


def test_scores_of_other_rows_are_not_taken(dataset: Dataset, tmp_path: Path) -> None:
    rows = TrainingSet(tmp_path, dataset, 1)
    write_scores(tmp_path, rows, dataset, OfPassage(SCORES))
    with pytest.raises(ValueError, match="longer"):
        list(with_teacher([*rows.examples()][:2], tmp_path, 1.0))
