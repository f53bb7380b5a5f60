"""The tables on the terminal: what fits, what is coloured, and gaps."""

import io
from math import nan

import pytest
from rich.console import Console

from pipeline.evaluation.bootstrap import interval
from pipeline.report.comparison import Comparison, compare
from pipeline.report.markdown import markdown
from pipeline.report.sections.tables import facts, title
from pipeline.report.terminal import print_tables
from pipeline.tracking.reader import RunRecord
from tests.report.sample import RECORDS, VALUES, documented, read, whole


@pytest.fixture
def comparison() -> Comparison:
    return whole()


def text(comparison: Comparison, **console: object) -> str:
    out = io.StringIO()
    print_tables(comparison, Console(file=out, highlight=False, **console))  # type: ignore[arg-type]
    return out.getvalue()


def test_facts(comparison: Comparison) -> None:
    first, second, third = facts(comparison)
    assert first == "5 runs on pydocs: 60 queries over 9,000 passages"
    ceiling = "ceiling (NDCG@10 of the 40 candidates in ideal order)"
    assert second == f"{ceiling}: vector 0.838, fts 0.854"
    assert third == "p50 ms: median of one vector query, 50 passages reranked"
    low, high = interval(VALUES["none_none_0neg_0ep"]["vector"]["ndcg_at_10"])
    assert f"vector ±{(high - low) / 2:.3f}" in title(comparison.qualities[0])


def test_in_a_pipe_it_is_plain_aligned_and_whole(comparison: Comparison) -> None:
    shown = text(comparison, width=80)
    assert "\x1b" not in shown
    assert "…" not in shown
    lines = shown.splitlines()
    rows = [line for line in lines if "neg_" in line and "RUNNING" not in line]
    assert len(rows) == 2 * 5  # NDCG and hit rate at 10
    assert len({len(row.rstrip()) for row in rows if "0:04:48" in row}) == 1
    assert all(len(line) <= 120 for line in rows)
    for row, run in zip(rows[:5], comparison.points, strict=True):
        stage = "hybrid" if run.name.startswith("none") else "hybrid_fused"
        assert f"{run.metrics[f'{stage}/ndcg_at_10']:.3f}" in row
        assert "12.3" in row
    points = {tuple(i for i, c in enumerate(row[:95]) if c == ".") for row in rows[:5]}
    assert len(points) == 1  # the decimal points stand below one another
    assert "FAILED cross_encoder_bad|name: ValueError: a|b <c> d" in lines
    assert "RUNNING colbert_lost_1neg_1ep: on box, pid 7, or lost" in lines


@pytest.mark.parametrize("width", [120, 100, 80, 60])
def test_on_a_terminal_it_fits_and_is_coloured(comparison: Comparison, width: int) -> None:
    shown = text(comparison, width=width, force_terminal=True, color_system="standard")
    assert "\x1b[1;32m" in shown  # best and significantly better: bold green
    assert "\x1b[31m" in shown  # significantly worse
    plain = text(comparison, width=width, force_terminal=True, color_system=None)
    rows = [line for line in plain.splitlines() if line.count(" 0.") > 2]
    assert all(len(row) <= width for row in rows)
    assert len(rows) == 10
    if width >= 80:
        assert all(row.count(" 0.") == 6 for row in rows)  # no number was cut


def test_gaps_are_shown_not_fatal() -> None:
    nothing = compare([], read)
    assert text(nothing) == "no run of this sweep has finished\n"
    assert "no run of this sweep" in markdown(documented(nothing))

    bare = RunRecord("id", "old", "FINISHED", {}, {}, {"vector/ndcg_at_10": nan})
    shown = text(compare([bare], lambda _: {}))
    assert "no per-query values" in shown
    assert "latency was not measured" in shown
    assert "nan" not in shown


def test_the_mark_of_a_baseline_is_explained(comparison: Comparison) -> None:
    name = "cross_encoder_minilm_l6_0neg_0ep"
    assert f"†: differs from {name}" in text(compare(RECORDS, read, name))
    assert "†" not in text(comparison)
