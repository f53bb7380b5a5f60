"""Timings are compared on one machine only: of one name, thread count and precision."""

from dataclasses import replace

from pipeline.report.comparison import compare
from pipeline.report.sections.latency import devices
from pipeline.report.timed_on import timed_on
from tests.pages import Page
from tests.report.sample import RECORDS, read, written_page

EPYC = {"latency.device": "cpu", "latency.name": "EPYC", "latency.threads": "2"}
FP32 = EPYC | {"latency.precision": "fp32"}
BF16 = EPYC | {"latency.precision": "bf16"}
ONE = FP32 | {"latency.threads": "1"}


def test_machines_are_told_apart_by_threads_and_precision() -> None:
    finished = [run for run in RECORDS if run.status == "FINISHED"][:4]
    timed = [
        replace(run, tags=run.tags | where)
        for run, where in zip(finished, (FP32, FP32, BF16, ONE), strict=True)
    ]
    found = devices(compare(timed, read))
    assert [device.name for device in found] == [
        "EPYC, 1 thread, fp32",
        "EPYC, 2 threads, bf16",
        "EPYC, 2 threads, fp32",
    ]
    names = {device.name: {system.label for system in device.systems} for device in found}
    assert names["EPYC, 2 threads, fp32"] == {run.name for run in timed[:2]}


def test_runs_without_these_tags_were_timed_where_they_ran() -> None:
    run = replace(RECORDS[0], params={"machine.device": "cuda", "machine.name": "H100"})
    assert str(timed_on(run)) == "H100"
    assert str(timed_on(RECORDS[0])) == ""


def test_quantiles_have_their_intervals_as_far_as_they_are_known() -> None:
    few, many = RECORDS[0], RECORDS[2]
    name = "latency/vector_50/total"
    known = {"p50_low": 11.0, "p50_high": 14.0, "p95": 20.0, "p95_low": 18.0}
    few, many = (
        replace(run, metrics=run.metrics | {f"{name}_{key}_ms": value for key, value in of.items()})
        for run, of in ((few, known), (many, known | {"p95_high": 25.0, "p99": 31.0}))
    )
    heads, *rows = Page(written_page(compare([few, many], read))).table("p99 of 50")
    cells = {row[0]: row[heads.index("p50 of 50") :] for row in rows}
    assert cells[few.name] == ["12.3 ms (11.0 to 14.0)", "20.0 ms (at least 18.0)", "-"]
    assert cells[many.name] == ["12.3 ms (11.0 to 14.0)", "20.0 ms (18.0 to 25.0)", "31.0 ms"]
