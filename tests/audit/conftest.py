"""Small labelled files of real texts: docstrings of networkx and their first paragraphs."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from pipeline.config.datasets import PydocsConfig
from pipeline.data.docstrings import read_pairs
from pipeline.data.near_duplicates import groups

Row = dict[str, Any]


@pytest.fixture(scope="session")
def texts() -> list[tuple[str, str]]:
    """300 queries with their passages, of which no two nearly repeat each other."""
    config = PydocsConfig(packages=["networkx"], query_words=[4, 40], min_passage_words=15)
    found = [(p.query, " ".join(p.passage.split()[:60])) for p in read_pairs(config, Counter())]
    distinct = [
        {
            i
            for i, leader in groups(
                ((str(n), pair[side]) for n, pair in enumerate(found)), 0.6
            ).items()
            if i == leader
        }
        for side in (0, 1)
    ]
    chosen = [found[int(i)] for i in sorted(distinct[0] & distinct[1], key=int)]
    assert len(chosen) >= 320
    return chosen[:320]


def rows_of(texts: list[tuple[str, str]]) -> list[Row]:
    """A relevant and an irrelevant passage for every query; two thirds of them to train."""
    rows: list[Row] = []
    for n, (query, passage) in enumerate(texts):
        wrong = texts[(n + 3) % len(texts)][1]
        split = ("train", "train", "test")[n % 3]
        rows.append({"query": query, "text": passage, "label": 1, "split": split})
        rows.append({"query": query, "text": wrong, "label": 0, "split": split})
    return rows


def write(path: Path, rows: Iterable[Row | bytes]) -> Path:
    """JSON Lines of rows; bytes are written as they are."""
    lines = (row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows)
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path
