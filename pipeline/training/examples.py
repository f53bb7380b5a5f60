"""What one training example of a loss looks like, as columns of a data set.

A (query, passage) pair, a query with one relevant passage and its negatives, or a query with
the list of all its passages: each loss of the libraries reads one of these.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, Literal

from pipeline.records import TrainingExample

Columns = Iterator[dict[str, Any]]


def columns(name: str, rows: Iterable[TrainingExample]) -> Columns:
    """The rows as the columns that the loss ``name`` reads."""
    if name == "bce":
        return _pairs(rows)
    if name in ("lambda", "ranknet", "listnet"):
        return _lists(rows)
    if name == "distillation":
        return _scored_lists(rows)
    return _tuples(rows, scored=name == "margin_mse")


def counted_by(name: str) -> Literal["pairs", "rows", "queries"]:
    """What one example of the loss ``name`` is, which is what a batch counts."""
    if name == "bce":
        return "pairs"
    return "queries" if name in ("lambda", "ranknet", "listnet") else "rows"


def _pairs(rows: Iterable[TrainingExample]) -> Columns:
    for row in rows:
        yield {"query": row.query, "passage": row.positive, "label": row.label}
        for negative in row.negatives:
            yield {"query": row.query, "passage": negative, "label": 0.0}


def _tuples(rows: Iterable[TrainingExample], scored: bool) -> Columns:
    for row in rows:
        negatives = {f"negative_{i}": text for i, text in enumerate(row.negatives, 1)}
        example = {"query": row.query, "positive": row.positive, **negatives}
        yield {**example, "label": list(row.teacher)} if scored else example


def _lists(rows: Iterable[TrainingExample]) -> Columns:
    """The rows of a query share their negatives."""
    for query, group in groupby(rows, key=lambda row: row.query):
        members = list(group)
        negatives = members[0].negatives
        yield {
            "query": query,
            "passages": [row.positive for row in members] + negatives,
            "label": [row.label for row in members] + [0.0] * len(negatives),
        }


def _scored_lists(rows: Iterable[TrainingExample]) -> Columns:
    for row in rows:
        yield {
            "query": row.query,
            "documents": [row.positive, *row.negatives],
            "label": list(row.teacher),
        }
