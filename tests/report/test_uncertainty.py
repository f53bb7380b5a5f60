"""What is tested with what: only values of the same queries, and all of them as one table."""

from dataclasses import replace
from math import isnan, nan

import pytest

from pipeline.report.comparison import Cell, compare
from pipeline.tracking.reader import RunRecord
from tests.report.sample import Stages, record

METRIC = "ndcg_at_10"


def three_wins(prefix: str, queries: int) -> Stages:
    """Reranking gains 0.5 on three queries and changes nothing on the others.

    On its own that has p = 2 / 2^3 = 0.25.
    """
    ids = [f"{prefix}{n:02}" for n in range(queries)]
    reranked = dict.fromkeys(ids, 0.5) | dict.fromkeys(ids[:3], 1.0)
    return {
        "vector": {METRIC: dict.fromkeys(ids, 0.5)},
        "vector_reranked": {METRIC: reranked},
    }


def cells(runs: dict[str, Stages], baseline: str | None = None) -> dict[str, Cell]:
    """Name of the run -> its cell of reranked vector search."""
    records = [record(name, "scratch", values) for name, values in runs.items()]
    found = compare(records, lambda run_id: runs[run_id.removesuffix("-id")], baseline=baseline)
    rows = (row["vector_reranked"] for row in found.qualities[0].rows)
    return dict(zip((point.name for point in found.points), rows, strict=True))


def test_p_values_are_corrected_for_tables_of_another_size() -> None:
    many, few = three_wins("q", 60), three_wins("q", 40)
    assert cells({"many": many})["many"].p_value == 0.25
    both = cells({"many": many, "few": few})
    assert {name: cell.p_value for name, cell in both.items()} == {"many": 0.5, "few": 0.5}


@pytest.mark.parametrize(
    "other", [three_wins("other", 60), three_wins("q", 40)], ids=["other queries", "fewer"]
)
def test_a_point_on_other_queries_is_compared_with_no_other(other: Stages) -> None:
    ours = three_wins("q", 60)
    worse = {**ours, "vector_reranked": ours["vector"]}
    found = cells({"best": ours, "worse": worse, "other": other}, baseline="best")
    assert found["best"].best or found["other"].best
    assert isnan(found["other"].p_baseline)
    # the three queries, seen from the other side
    assert found["worse"].p_baseline == 0.25
    rival = cells({"best": {**other, "vector_reranked": raised(other)}, "worse": ours})
    assert rival["best"].best
    assert all(isnan(end) for end in rival["worse"].to_best)


def raised(values: Stages) -> dict[str, dict[str, float]]:
    """1.0 on every query."""
    return {METRIC: dict.fromkeys(values["vector"][METRIC], 1.0)}


@pytest.mark.parametrize("broken", ["infinite", "missing"])
def test_a_column_without_a_value_of_every_query_is_not_tested(broken: str) -> None:
    values = three_wins("q", 60)
    reranked = values["vector_reranked"][METRIC]
    if broken == "infinite":
        reranked["q59"] = nan
    else:
        del reranked["q59"]
    cell = cells({"run": values})["run"]
    assert isnan(cell.p_value)
    assert isnan(cell.low)


def test_a_seed_on_other_queries_is_left_out_of_the_mean() -> None:
    first, second = three_wins("q", 60), three_wins("other", 60)
    second["vector_reranked"] = raised(second)  # which would change the mean, and the p-value
    runs: list[RunRecord] = [
        replace(record("run", "scratch", values), run_id=seed, params={"seed": seed})
        for seed, values in (("1", first), ("2", second))
    ]
    found = compare(runs, lambda run_id: {"1": first, "2": second}[run_id])
    (point,) = found.points
    assert point.seeds == ["1", "2"]
    column = point.values.of("vector_reranked", METRIC)
    assert column is not None
    assert column.tolist() == [1.0] * 3 + [0.5] * 57
    assert found.qualities[0].rows[0]["vector_reranked"].p_value == 0.25
