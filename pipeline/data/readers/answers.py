"""Read question-answer rows, from the Hugging Face hub or from local files, as one sequence."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.config.bounds import require
from pipeline.data.readers.lines import (
    numbered_lines,
    numbered_objects,
    require_distinct,
    text_field,
)
from pipeline.data.readers.parquet import parquet_file
from pipeline.infra.errors import disk_is_full
from pipeline.records import InputError

COLUMNS = ("question", "answer")
EXPECTED = '{"question": "...", "answer": "..."}'
REVISIONS = {"sentence-transformers/gooaq": "b089f728748a068b7bc5234e5bcf5b25e3c8279c"}
SUFFIXES = (".parquet", ".jsonl", ".jsonl.gz")
TEXT_TYPES = ("string", "large_string", "string_view")
BATCH = 1024  # rows read at a time

Row = tuple[int, str, str]  # number, question, answer


class Rows(NamedTuple):
    """A sequence of rows: their number, and a function that reads those from a to b - 1."""

    size: int
    rows: Callable[[int, int], Iterator[Row]]


def hub(hub_id: str) -> Rows:
    """Open the rows of a data set on the Hugging Face hub.

    Raises:
        InputError: it can't be loaded, or lacks a column.
        RuntimeError: the disk is full.
    """
    import datasets

    try:
        rows = datasets.load_dataset(hub_id, split="train", revision=REVISIONS.get(hub_id, "main"))
    except (OSError, ValueError) as error:
        if disk_is_full(error):
            raise RuntimeError(
                f"dataset.hub_id={hub_id}: the disk is full, downloads go to "
                f"{datasets.config.HF_DATASETS_CACHE}; free some space, or name a folder on "
                "another disk with HF_HOME"
            ) from error
        raise InputError(
            f"dataset.hub_id={hub_id}: cannot be loaded from the Hugging Face hub "
            f"({' '.join(str(error).split())[:200]}); give local files of it with "
            f"dataset.path=DIR, or take the offline data set dataset=pydocs"
        ) from None
    missing = [column for column in COLUMNS if column not in rows.column_names]
    if missing:
        raise InputError(f"dataset.hub_id={hub_id}: no column {missing}; rows must be {EXPECTED}")

    def read(start: int, stop: int) -> Iterator[Row]:
        for batch in rows.select(range(start, stop)).iter(batch_size=BATCH):
            for question, answer in zip(batch["question"], batch["answer"], strict=True):
                yield start, question or "", answer or ""
                start += 1

    return Rows(len(rows), read)


def local_files(path: Path) -> list[Path]:
    """List the data files at ``path``, a file or a folder.

    Raises:
        InputError: there are none.
    """
    found = [path] if path.is_file() else sorted(path.rglob("*"))
    files = [file for file in found if file.is_file() and file.name.endswith(SUFFIXES)]
    require(bool(files), "dataset.path", path, f"no file there ends with {', '.join(SUFFIXES)}")
    return files


def local(path: Path) -> Rows:
    """Open the rows of all files as one sequence, in the order of the file names.

    Raises:
        InputError: a file is not what its name says, or lacks a column.
    """
    files = [(file, *_open(file)) for file in local_files(path)]

    def read(start: int, stop: int) -> Iterator[Row]:
        number = 0
        for _, count, rows in files:
            if number + count > start and number < stop:
                for at, (question, answer) in enumerate(rows(), start=number):
                    if at >= stop:
                        return
                    if at >= start:
                        yield at, question, answer
            number += count

    return Rows(sum(count for _, count, _ in files), read)


def _open(path: Path) -> tuple[int, Callable[[], Iterator[tuple[str, str]]]]:
    """Return the number of rows of a file, and a function that reads them."""
    if path.suffix != ".parquet":
        return sum(1 for _ in numbered_lines(path)), lambda: _jsonl(path)
    with parquet_file(path) as file:
        schema, count = file.schema_arrow, file.metadata.num_rows
    require_distinct(schema.names, str(path))
    for column in COLUMNS:
        if column not in schema.names or str(schema.field(column).type) not in TEXT_TYPES:
            raise InputError(
                f'{path}: no text column "{column}" among {schema.names}; "question" and '
                f'"answer" are needed'
            )
    return count, lambda: _parquet(path)


def _parquet(path: Path) -> Iterator[tuple[str, str]]:
    with parquet_file(path) as file:
        for batch in file.iter_batches(BATCH, columns=list(COLUMNS)):
            questions: list[Any] = batch.column("question").to_pylist()
            answers: list[Any] = batch.column("answer").to_pylist()
            for question, answer in zip(questions, answers, strict=True):
                yield question or "", answer or ""


def _jsonl(path: Path) -> Iterator[tuple[str, str]]:
    for line, row in numbered_objects(path, EXPECTED):
        # The published rows have null for "none".
        filled = {key: "" if value is None else value for key, value in row.items()}
        question, answer = (text_field(filled, key, path, line, EXPECTED) for key in COLUMNS)
        yield question, answer
