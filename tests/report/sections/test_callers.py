"""Throughput and waiting are shown per machine and load, beside the first query."""

from dataclasses import replace

from pipeline.report.comparison import compare
from tests.pages import Page
from tests.report.sample import RECORDS, read, written_page

ALONE = {"latency/first_query_ms": 80.5, "latency/hybrid_20/queries_per_s": 10.0}
TOGETHER = {
    "queries_per_s": 12.5,
    "total_p50_ms": 640.0,
    "total_p95_ms": 700.0,
    "queue_p50_ms": 560.0,
    "queue_p95_ms": 610.0,
}
LOADED = ALONE | {f"latency/callers_8/hybrid_20/{name}": value for name, value in TOGETHER.items()}


def page(**metrics: dict[str, float]) -> Page:
    runs = [
        replace(run, metrics=run.metrics | added)
        for run, added in zip((RECORDS[0], RECORDS[2]), metrics.values(), strict=True)
    ]
    return Page(written_page(compare(runs, read)))


def test_a_load_has_a_row_per_run() -> None:
    heads, *rows = page(first=LOADED, second=LOADED).table("queries/s, 8 callers")
    assert heads[1:] == [
        *("first query", "queries/s, 1 caller", "queries/s, 8 callers"),
        *("p50", "p95", "waiting, p50", "waiting, p95"),
    ]
    assert {row[0] for row in rows} == {RECORDS[0].name, RECORDS[2].name}
    assert rows[0][1:] == ["80.5 ms", "10.0", "12.5", "640 ms", "700 ms", "560 ms", "610 ms"]


def test_one_caller_leaves_the_first_query() -> None:
    assert page(first=ALONE, second=ALONE).table("first query")[1][1:] == ["80.5 ms"]


def test_what_was_not_timed_is_not_shown() -> None:
    assert not any("first query" in table[0] for table in page(first={}, second={}).tables)
