"""Where the time of a sweep went: the rows add up to its whole."""

from dataclasses import replace

from pipeline.report.comparison import compare
from pipeline.report.sections.cost import seconds_of, section, times
from pipeline.report.study import Study
from pipeline.tracking.reader import RunRecord
from tests.report.sample import NOTHING, RECORDS, read

CONTROL = {"seconds/index": 2.0, "seconds/score": 1.0, "seconds/record": 3.0, "seconds/rest": 4.0}
TRAINED = CONTROL | {"seconds/train": 100.0, "seconds/evaluate": 5.0, "seconds/latency": 20.0}
SHARED = {"seconds/dataset": 10.0, "seconds/index": 60.0, "seconds/negatives": 30.0}


def study(sweep: float) -> Study:
    runs = [
        replace(run, metrics=run.metrics | (TRAINED if run.name.startswith("col") else CONTROL))
        for run in RECORDS[2:4]
    ]
    parent = RunRecord("p", "sweep", "FINISHED", {}, {}, SHARED | {"sweep/seconds": sweep})
    return Study(compare(runs, read), NOTHING, 100.0, sweep=parent)


def test_the_rows_add_up_to_the_sweep() -> None:
    table = times(study(sweep=300.0))
    assert table is not None
    heads = ["index", "mine", "train", "score", "latency", "record", "rest", "total"]
    assert list(table.heads[1:]) == heads
    assert [list(row) for row in table.rows] == [
        row.split("|")
        for row in (
            "shared by the points|0:01:10|0:00:30|-|-|-|-|-|0:01:40",
            "none_none_0neg_0ep|0:00:02|-|-|0:00:01|-|0:00:03|0:00:04|0:00:10",
            "colbert_minilm_l6_1neg_2ep|0:00:02|-|0:01:40|0:00:01|0:00:20|0:00:03|0:00:09|0:02:15",
            "all of these|0:01:14|0:00:30|0:01:40|0:00:02|0:00:20|0:00:06|0:00:13|0:04:05",
            "rest of the sweep||||||||0:00:55",
            "the sweep||||||||0:05:00",
        )
    ]


def test_points_of_other_tables_are_not_the_rest() -> None:
    whole = study(sweep=300.0)
    assert seconds_of(whole.comparison) == 10.0 + 135.0
    table = times(replace(whole, elsewhere=50.0))
    assert table is not None
    totals = {row[0]: row[-1] for row in table.rows}
    assert totals["points of the other tables"] == "0:00:50"
    assert (totals["rest of the sweep"], totals["the sweep"]) == ("0:00:05", "0:05:00")


def test_the_estimate_stands_beside_the_time() -> None:
    found = study(sweep=1837.0)
    assert found.sweep is not None
    assert any("0:30:37." in text for text in section(found).blocks if isinstance(text, str))
    metrics = found.sweep.metrics | {"sweep/estimated_seconds": 1680.0}
    found = replace(found, sweep=replace(found.sweep, metrics=metrics))
    assert any(
        "0:30:37, " in t and "0:28:00." in t for t in section(found).blocks if isinstance(t, str)
    )


def test_points_side_by_side_add_up_to_more_than_the_sweep() -> None:
    table = times(study(sweep=200.0))
    assert table is not None
    assert table.rows[-1][0] == "all of these"


def test_runs_without_times_have_no_table() -> None:
    assert times(Study(compare(RECORDS, read), NOTHING, 100.0)) is None
