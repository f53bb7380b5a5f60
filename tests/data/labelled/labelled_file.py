"""A small labelled file in any format, its data set, and a check that nothing leaks."""

import csv
import gzip
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config.datasets import LabelledConfig
from pipeline.data.text import bare
from pipeline.records import Dataset, QuerySet
from tests.points import load

Row = Mapping[str, object]
NAMES = ("owl", "bee", "ant", "cat", "dog", "elk", "fox", "hen", "jay", "yak")
# 30 questions about 10 animals; each has one answer, every third a second one, and one negative
VERBS = ("eat", "sleep", "drink")


def pairs() -> list[Row]:
    rows: list[Row] = []
    for n, name in enumerate(NAMES):
        for m, verb in enumerate(VERBS):
            query = f"What does the {name} {verb}?"
            rows.append({"query": query, "text": f"{name} answer: {verb}", "label": 1 + (m == 0)})
            wrong = f"{NAMES[(n + 1) % 10]} hint: {verb}"
            rows.append({"query": query, "text": wrong, "label": 0})
            if m == 0:
                rows.append({"query": query, "text": f"{name} also: {verb}", "label": 1})
    return rows


def write(path: Path, rows: Iterable[Row]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    listed = list(rows)
    columns = list(listed[0])
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(listed), path)
    elif path.name.endswith((".jsonl", ".jsonl.gz")):
        text = "".join(json.dumps(row) + "\n" for row in listed)
        path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    else:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, delimiter="\t" if "tsv" in path.name else ",")
            writer.writeheader()
            writer.writerows(listed)
    return path


def break_page(parquet: bytes) -> bytes:
    """A Parquet file whose first page has a broken head."""
    return parquet[:4] + b"\xff" * 16 + parquet[20:]


def made(path: Path, **changes: object) -> Dataset:
    config = LabelledConfig(name="own", path=str(path), **changes)  # type: ignore[arg-type]
    return load(config, path.parent / "cache")


def splits(dataset: Dataset) -> dict[str, QuerySet]:
    return {"train": dataset.train, "dev": dataset.dev, "test": dataset.test}


def assert_no_leaks(dataset: Dataset) -> None:
    """No query text and no relevant passage's text is in two splits, by the texts themselves."""
    homes: dict[tuple[str, str], str] = {}
    for name, split in splits(dataset).items():
        relevant = {doc_id for gains in split.qrels.values() for doc_id in gains}
        found = {("query", bare(text)) for text in split.queries.values()}
        found |= {("passage", bare(dataset.corpus[doc_id])) for doc_id in relevant}
        for text in found:
            assert homes.setdefault(text, name) == name
    for split in splits(dataset).values():
        for query_id, doc_ids in split.irrelevant.items():
            assert not set(doc_ids) & split.qrels[query_id].keys()
    for doc_ids in dataset.train.irrelevant.values():
        for doc_id in doc_ids:  # no negative that is right elsewhere
            assert homes.get(("passage", bare(dataset.corpus[doc_id])), "train") == "train"
