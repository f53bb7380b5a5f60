"""A small file with the columns of GooAQ, and its configuration."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config.datasets import GooaqConfig

Rows = list[tuple[str | None, str | None]]

ROWS: Rows = [(f"question number {n}", f"answer number {n}") for n in range(100)]


def parquet(path: Path, rows: Rows) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({"question": [q for q, _ in rows], "answer": [a for _, a in rows]})
    pq.write_table(table, path, row_group_size=7)
    return path


def jsonl(path: Path, rows: Rows) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"question": q, "answer": a}) + "\n" for q, a in rows))
    return path


def config(where: Path | None, **changes: object) -> GooaqConfig:
    values: dict[str, object] = {
        "name": "gooaq",
        "path": where and str(where),
        "train_rows": [0, 60],
        "index_rows": [60, 100],
        "max_dev_queries": 5,
        "max_eval_queries": 10,
    }
    return GooaqConfig(**{**values, **changes})  # type: ignore[arg-type]
