"""A teacher's scores of the training passages: written once, read row by row."""

from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from pipeline.infra.console import live_line
from pipeline.protocols import Scorer
from pipeline.records import Dataset, TrainingExample
from pipeline.training.passage_scores import score_passages
from pipeline.training.training_set import TrainingSet

FILE = "teacher.parquet"
SCHEMA = pa.schema(
    [
        pa.field("query_id", pa.string()),
        pa.field("positive_id", pa.string()),
        pa.field("scores", pa.list_(pa.float32())),  # of the positive and of every negative
    ]
)
QUERIES = 256  # scored at a time, bounds memory


def write_scores(folder: Path, rows: TrainingSet, dataset: Dataset, teacher: Scorer) -> None:
    """Write one row of scores per row of ``rows``, in their order.

    The teacher sees all passages of a query at a time, and each once.

    Raises:
        RuntimeError: a score is not finite; names the pair.
    """
    queries = (list(group) for _, group in groupby(rows, key=lambda row: row.query_id))
    with (
        pq.ParquetWriter(folder / FILE, SCHEMA) as writer,
        live_line("teacher's scores", "row", total=len(rows)) as bar,
    ):
        while chunk := list(islice(queries, QUERIES)):
            asked = {
                of_query[0].query_id: [
                    *(row.positive_id for row in of_query),
                    *of_query[0].negative_ids,
                ]
                for of_query in chunk
            }
            scores = score_passages(teacher, dataset, asked)
            scored = [
                {
                    "query_id": row.query_id,
                    "positive_id": row.positive_id,
                    "scores": [
                        scores[row.query_id][doc_id]
                        for doc_id in (row.positive_id, *row.negative_ids)
                    ],
                }
                for of_query in chunk
                for row in of_query
            ]
            writer.write_table(pa.Table.from_pylist(scored, schema=SCHEMA))
            bar.update(len(scored))


def with_teacher(
    rows: Iterable[TrainingExample], folder: Path, temperature: float
) -> Iterator[TrainingExample]:
    """Add the scores in ``folder``, divided by ``temperature``, to the rows they were made for."""
    for row, scores in zip(rows, _read(folder), strict=True):
        yield row._replace(teacher=[score / temperature for score in scores])


def _read(folder: Path) -> Iterator[list[float]]:
    for batch in pads.dataset(folder / FILE).to_batches(columns=["scores"]):
        yield from batch.column("scores").to_pylist()
