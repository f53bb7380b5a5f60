"""Two recorded runs, read from a real store."""

from dataclasses import replace
from math import isnan

import pytest

from pipeline.config.stages import TrackingConfig
from pipeline.report.pair.difference import Difference
from pipeline.report.pair.page import html
from pipeline.report.pair.recorded import differ
from pipeline.report.pair.terminal import show
from pipeline.tracking import reader
from tests.pages import Page
from tests.pair_runs import QUERIES, SCRIPT


def compared(store: TrackingConfig, a: str, b: str) -> Difference:
    return differ(store, reader.find_run(store, a), reader.find_run(store, b), "vector")


def test_the_figures_of_a_pair(pair_store: TrackingConfig) -> None:
    found = compared(pair_store, "low", "high")
    assert found.config == [("epochs", "1", "2")]  # the name of a run is no difference
    assert found.unpaired == ""
    row = found.rows[0]
    assert (row.name, row.a, row.b) == ("vector_reranked/ndcg_at_10", 0.25, 6.25 / 8)
    assert row.difference is not None
    assert row.difference.mean == pytest.approx((6 * 0.75 - 0.25) / 8)
    # Of all 2^7 sign flips four are as extreme: no 0.75 flipped, or all of them.
    assert row.difference.p_value == pytest.approx(4 / 128)
    assert (row.losses, row.ties, row.wins) == (1, 1, 6)
    assert [(cost.name, cost.a, cost.b) for cost in found.costs] == [("train/seconds", 10.0, 25.0)]
    a_better, b_better = (cases for _, cases in found.cases)
    assert [case.query_id for case in a_better] == ["q7"]
    assert [case.query_id for case in b_better] == QUERIES[:6]
    case = b_better[0]
    assert (case.query, case.relevant) == (f"why {SCRIPT}", "the answer")
    assert case.a and (case.a.first, case.b.first) == (f"low {SCRIPT}", f"high {SCRIPT}")
    assert (case.a.rank, case.b.rank) == (3, 3)


def test_a_search_that_differs_is_named(pair_store: TrackingConfig) -> None:
    a, b = (reader.find_run(pair_store, name) for name in ("low", "high"))
    longer = replace(b, params=b.params | {"embedder.max_length": "128"})
    found = differ(pair_store, a, longer, "vector")
    assert "embedder.max_length - and 128" in found.about[-1]
    assert not any("embedder" in line for line in compared(pair_store, "low", "high").about)


def test_other_data_are_compared_by_their_means_only(pair_store: TrackingConfig) -> None:
    found = compared(pair_store, "low", "elsewhere")
    assert "aaaaaaaa" in found.unpaired and "bbbbbbbb" in found.unpaired
    assert found.rows[0].b - found.rows[0].a == pytest.approx(4.25 / 8)
    assert all(row.difference is None for row in found.rows)
    assert [cases for _, cases in found.cases] == [[], []]
    assert found.unpaired in Page(html(found)).text


def test_the_search_alone_stands_in_for_the_control(pair_store: TrackingConfig) -> None:
    found = compared(pair_store, "control", "high")
    assert (found.rows[0].a, found.rows[0].wins) == (0.25, 6)
    (case, *_) = found.cases[1][1]
    assert case.a and case.a.first == f"control {SCRIPT}"
    assert isnan(found.rows[2].a)  # fts, which neither run has


def test_page_and_terminal_show_the_same(
    pair_store: TrackingConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    found = compared(pair_store, "low", "high")
    text = html(found)
    page = Page(text)
    page.check()
    assert "<script" not in text
    assert "http://" not in text and "https://" not in text
    # Eight draws are 1.0, as six of eight values are, with probability 0.75^8 = 0.1.
    assert page.table("gain")[1] == [
        *("vector_reranked/ndcg_at_10", "0.2500", "0.7812", "0.5000..1.0000"),
        *("+0.5312", "+0.2500..+0.7500", "+212.5%", "0.0312", "6/1/1"),
    ]
    show(found)
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    for shown in ("8 queries of d aaaaaaaa", "+0.5312", "+212.5%", "0.0312", "6/1/1", "epochs"):
        assert shown in page.text and shown in printed
    for shown in (f"why {SCRIPT}", f"high {SCRIPT}", "A rank 3, B rank 3", "train/seconds"):
        assert shown in page.text and shown in printed
