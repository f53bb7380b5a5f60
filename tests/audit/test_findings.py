"""Small files with one fault each, and the finding that names it."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.audit import audit
from tests.audit.conftest import Row, write


@pytest.mark.parametrize(
    ("rows", "kind", "severity", "expected"),
    [
        (
            [{"query_id": "a"}, {"query_id": "a", "query": "other"}],
            *("ambiguous_query_id", "unusable", ['line 1 and line 2: "a"']),
        ),
        (
            [{"query_id": "a"}, {"query_id": "b"}, {"query_id": "b"}],
            *("duplicate_queries", "warning", ['line 1 and line 2: "a" and "b", "the query"']),
        ),
        (
            [{"split": "train"}, {"split": "holdout"}],
            *("unknown_split", "unusable", ['line 2: "holdout"']),
        ),
        (
            [{"split": "test"}, {}, {"split": ""}],
            *("rows_without_split", "unusable", ["line 2", "line 3"]),
        ),
        (
            [{"split": "train"}, {"split": "dev", "query": "other"}],
            *("no_positive", "unusable", ["split test: no row"]),
        ),
        (
            [{"label": 2}, {"label": 2}],
            *("constant_labels", "warning", ["the file: all 2 labels are 2, lines 1 to 2"]),
        ),
        (
            [{"label": 0}, {"label": 0, "query": "other"}],
            *("no_positive", "unusable", ["the file, lines 1 to 2"]),
        ),
        (
            [{"split": "train"}, {"split": "test", "query": "other"}],
            *("leaked_passages", "warning", ['line 1 (train) and line 2 (test): "the text"']),
        ),
        (
            [{}, {"query": "other", "label": 0}],
            *("queries_without_positive", "warning", ['line 2: "other"']),
        ),
        (
            [{}, {"query": "other"}, {"query": "third", "label": 0}],
            *("shared_passages", "info", ['line 1: "the text", relevant to 2 queries']),
        ),
        ([{"text": ""}], "no_pairs", "unusable", []),
        (
            [{"label": 2**31}],
            *("bad_label", "unusable"),
            ['line 1: "label" is 2147483648, not a whole number of at most 1,000,000'],
        ),
    ],
)
def test_one_finding(
    tmp_path: Path, rows: list[Row], kind: str, severity: str, expected: list[str]
) -> None:
    usual: dict[str, Any] = {"query": "the query", "text": "the text", "label": 1}
    report = audit(write(tmp_path / "a.jsonl", [{**usual, **row} for row in rows]))
    (found,) = [finding for finding in report.findings if finding.kind == kind]
    assert (found.severity, found.examples) == (severity, expected)
