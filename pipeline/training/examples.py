"""Write training examples as the columns that each loss reads.

A loss reads (query, passage) pairs, or a query with one relevant passage and its negatives, or a
query with the list of all its passages. Pairs are labelled from 0 to 1, as binary cross-entropy
expects, and lists with the gains, as LambdaLoss, RankNet and ListNet are defined on them. A loss
that distils has the teacher's scores as labels.
"""

from array import array
from collections.abc import Iterable, Iterator, Mapping
from heapq import nlargest
from itertools import groupby
from pathlib import Path
from typing import Any

from datasets import Dataset
from datasets.arrow_writer import ArrowWriter

from pipeline.config.models import DISTILLING
from pipeline.infra.distributed import rank
from pipeline.protocols import FitRequest
from pipeline.records import TrainingExample
from pipeline.training.in_batch import InBatch
from pipeline.training.schedule import IN_BATCH, LISTWISE, PAIRWISE

Columns = Iterator[dict[str, Any]]


def columns(loss: str, rows: Iterable[TrainingExample]) -> Columns:
    """Yield the rows as the columns that ``loss`` reads."""
    scored = loss in DISTILLING
    if loss in PAIRWISE:
        return _pairs(rows, scored)
    if loss in LISTWISE:
        return _lists(rows, scored)
    if loss == "distillation":
        return _scored_lists(rows)
    return _tuples(rows, scored)


def training_rows(
    request: FitRequest, folder: Path, batch_size: int
) -> tuple[Dataset, list[int], InBatch]:
    """Write the rows of ``request`` to ``folder``, in the columns of its loss.

    Returns the rows, the numbers of the ``batch_size`` longest of them, and what a loss that takes
    negatives from the batch must know; other losses leave that empty.
    """
    in_batch = InBatch()
    examples = request.rows
    if request.loss in IN_BATCH:
        examples = in_batch.collect(examples)
    rows, longest = write_dataset(columns(request.loss, examples), folder, batch_size)
    return rows, longest, in_batch


def write_dataset(
    rows: Iterable[Mapping[str, Any]], folder: Path, batch_size: int
) -> tuple[Dataset, list[int]]:
    """Write the rows to a file in ``folder``, one by one, and open it memory-mapped.

    Also returns the numbers of the ``batch_size`` rows with the most characters.

    Each process of torchrun writes a file of its own. ``Dataset.from_generator`` does not serve:
    to name its cache it pickles whatever the generator refers to, down to the model.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = str(folder / f"rows-{rank()}.arrow")
    sizes = array("q")
    with ArrowWriter(path=file) as writer:
        for row in rows:
            writer.write(dict(row))
            sizes.append(_characters(row))
        writer.finalize()
    longest = nlargest(batch_size, range(len(sizes)), key=sizes.__getitem__)
    return Dataset.from_file(file), longest


def _characters(row: Mapping[str, Any]) -> int:
    cells = [cell if isinstance(cell, list) else [cell] for cell in row.values()]
    return sum(len(text) for cell in cells for text in cell if isinstance(text, str))


def _pairs(rows: Iterable[TrainingExample], scored: bool) -> Columns:
    for row in rows:
        labels = row.teacher if scored else [row.label] + [0.0] * len(row.negatives)
        for passage, label in zip([row.positive, *row.negatives], labels, strict=True):
            yield {"query": row.query, "passage": passage, "label": label}


def _tuples(rows: Iterable[TrainingExample], scored: bool) -> Columns:
    """Yield one tuple per row; its label is the teacher's scores or else the number of the row."""
    for number, row in enumerate(rows):
        negatives = {f"negative_{i}": text for i, text in enumerate(row.negatives, 1)}
        label = list(row.teacher) if scored else number
        yield {"query": row.query, "positive": row.positive, **negatives, "label": label}


def _lists(rows: Iterable[TrainingExample], scored: bool) -> Columns:
    """Yield one list per query, whose rows all have the same negatives."""
    for (_, query), group in groupby(rows, key=lambda row: (row.query_id, row.query)):
        members = list(group)
        negatives = members[0].negatives
        gains = [float(row.gain) for row in members] + [0.0] * len(negatives)
        scores = [*(row.teacher[0] for row in members if scored), *members[0].teacher[1:]]
        yield {
            "query": query,
            "passages": [row.positive for row in members] + negatives,
            "label": scores if scored else gains,
        }


def _scored_lists(rows: Iterable[TrainingExample]) -> Columns:
    for row in rows:
        yield {
            "query": row.query,
            "documents": [row.positive, *row.negatives],
            "label": list(row.teacher),
        }
