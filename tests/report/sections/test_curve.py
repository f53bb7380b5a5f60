"""Would more labels help: the curve's points, the gains of doublings, and the three answers."""

import re
from dataclasses import replace

import pytest

from pipeline.evaluation.metrics import PerQuery
from pipeline.records import SEARCHES
from pipeline.report.comparison import Comparison, compare
from pipeline.report.learning_curve import curves, sentences
from pipeline.report.markdown import markdown
from pipeline.report.sections import ablations
from pipeline.report.sections.curve import section
from pipeline.report.study import Study
from pipeline.tracking.reader import RunRecord
from tests.pages import Page
from tests.report.sample import NOTHING, RECORDS, Stages, documented, read, record, written_page

ALONE = 0.4  # of every search and query
Gains = tuple[float, float]
"""What the even and the odd queries of 60 gain over the search alone."""


def values(gains: Gains) -> PerQuery:
    return {"ndcg_at_10": {f"q{i}": ALONE + gains[i % 2] for i in range(60)}}


def trained(fused: dict[int, Gains], own: Gains = (0.0, 0.0), seen: int = 10_000) -> Comparison:
    """ColBERTs that asked for so many queries, of which there are ``seen``.

    ``fused`` are the gains of the fused order, ``own`` the largest model's without the search's.
    """
    per_query: dict[str, Stages] = {}
    runs: list[RunRecord] = []
    for asked, gains in fused.items():
        name = f"colbert_minilm_l6_{asked}q"
        ranked = own if asked == max(fused) else (0.0, 0.0)
        columns = {"": (0.0, 0.0), "_reranked": ranked, "_fused": gains}
        per_query[f"{name}-id"] = {
            f"{s}{c}": values(g) for s in SEARCHES for c, g in columns.items()
        }
        run = record(name, "scratch", per_query[f"{name}-id"], base="minilm_l6")
        counts = {"train/queries": float(min(asked, seen)), "train/steps": asked / 10}
        asking = {"train.queries": str(asked)}
        runs.append(replace(run, metrics=run.metrics | counts, params=run.params | asking))
    return compare(runs, per_query.__getitem__)


RISING: dict[int, Gains] = {500: (0.0, 0.02), 1000: (0.02, 0.04), 2000: (0.03, 0.07)}


def test_rising_to_the_end_more_labels_are_likely_to_help() -> None:
    (text,) = sentences(trained(RISING), "fts")
    # The means gain 0.02 twice, so the line through all three points rises by 0.02 a doubling.
    assert text.startswith("More labels are likely to help (colbert, minilm_l6, 1 neg, 2 ep): ")
    assert "fused with FTS search, 1,000 to 2,000 labelled queries brought +0.020 NDCG@10" in text
    low, high = map(float, re.findall(r"interval \+([\d.]+) to \+([\d.]+)", text)[0])
    # The 60 gains are 0.01 or 0.03, so their mean has a standard error of 0.01 / sqrt(60).
    assert (low, high) == pytest.approx((0.02 - 0.00253, 0.02 + 0.00253), abs=6e-4)
    assert "another doubling may bring +0.020, a guess" in text


def test_flat_at_the_end_there_is_no_sign() -> None:
    flat = RISING | {2000: RISING[1000]}
    (text,) = sentences(trained(flat), "vector")
    assert text.startswith("No sign that more labels help (") and text.endswith("is unlikely.")
    assert "brought +0.000 NDCG@10 (95% interval +0.000 to +0.000)" in text
    (text,) = sentences(trained(flat, own=(0.05, 0.05)), "vector")
    assert text.startswith("No sign") and "its own order, not fused, still learns: +0.050" in text


def test_a_fusion_without_the_reranker_tells_nothing() -> None:
    nothing = {1000: (0.0, 0.0), 2000: (0.0, 0.0)}
    (text,) = sentences(trained(nothing, own=(0.04, 0.06)), "vector")
    assert text.startswith("It can't be told if more labels help (colbert, minilm_l6, ")
    assert "1,000 to 2,000 labelled queries gave the reranker no weight" in text
    assert "its own order, not fused, gained +0.050 NDCG@10 (95% interval +0.04" in text
    assert "unlikely" not in text


def test_a_step_that_is_no_doubling_is_not_judged_as_one() -> None:
    near: dict[int, Gains] = {250: (0.0, 0.0), 300: (0.004, 0.005)}  # 0.017 for a doubling
    (text,) = sentences(trained(near), "fts")
    assert text.startswith("It can't be told if more labels help (colbert, minilm_l6, ")
    assert text.endswith(
        "on about half of the 300 labelled queries; take train.queries=75,150,300."
    )
    far: dict[int, Gains] = {100: (0.0, 0.0), 4000: (0.015, 0.017)}  # 0.003 for a doubling
    (text,) = sentences(trained(far), "fts")
    assert text.endswith("take train.queries=1000,2000,4000.")
    # The interval ends at 0.011, which in 1.4 doublings is less than 0.01 in one.
    (text,) = sentences(trained({250: (0.0, 0.0), 660: (0.033, -0.025)}), "fts")
    assert text.startswith("No sign") and "0.01 by a doubling is unlikely" in text


def test_with_a_wide_interval_more_test_queries_are_needed() -> None:
    (text,) = sentences(trained({1000: (0.0, 0.0), 2000: (0.3, -0.28)}), "hybrid")
    assert text.startswith("Too few test queries to tell") and "brought +0.010 NDCG@10" in text
    # The standard deviation is 0.29, and 2 * 1.96 * 0.29 / sqrt(n) = 0.01; a mean of 60 is coarse.
    (needed,) = re.findall(r"about ([\d,]+) would tell", text)
    assert int(needed.replace(",", "")) == pytest.approx((2 * 1.96 * 0.29 / 0.01) ** 2, rel=0.15)


def test_points_that_trained_on_the_same_queries_are_one() -> None:
    comparison = trained(RISING | {250: (0.0, 0.0), 4000: (0.5, 0.5)}, seen=700)
    curve = next(curve for curve in curves(comparison) if curve.column == "fts_fused")
    assert list(curve.points) == [250, 500, 700]
    assert curve.points[700].point.name == "colbert_minilm_l6_1000q"
    assert [(step.start, step.end) for step in curve.steps] == [(250, 500), (500, 700)]
    # 250 is nearer to half of 700 than 500 is, in doublings.
    assert (curve.doubling.start, curve.doubling.end) == (250, 700)
    assert curve.doubling.gain == pytest.approx(0.03)


def test_the_section_shows_every_search_with_gains() -> None:
    comparison = trained(RISING)
    shown = Page(written_page(comparison))
    shown.check()
    heads, *rows = shown.table("held fixed", "order", "queries", "gain")
    assert len(rows) == 6 and "NDCG@10 of hybrid search over labelled queries" in shown.text
    assert dict(zip(heads[2:4], rows[-1][2:4], strict=True)) == {
        "queries": "2,000",
        "NDCG@10": "0.450",
    }
    assert [row[5] for row in rows[3:]] == ["-", "+0.020", "+0.020"]
    assert rows[-1][7] == "200"
    document = documented(comparison)
    assert document.study.verdict.sentences[-1].startswith("More labels are likely to help")
    assert "## Would more labels help?" in markdown(document)
    assert "**More labels are likely to help (colbert" in markdown(document)
    assert "| colbert, minilm_l6, 1 neg, 2 ep | fused | 2,000 | 0.450 |" in markdown(document)
    # Drawn here, so not once more among the ablations.
    found = ablations.section(document.study)
    assert found is not None and "nothing can be compared" in str(found.blocks[0])


def test_without_different_numbers_of_queries_there_is_no_section() -> None:
    assert section(Study(compare(RECORDS, read), NOTHING, 100)) is None
    assert section(Study(trained({500: (0.0, 0.0)}), NOTHING, 100)) is None
    few = section(Study(trained(RISING, seen=300), NOTHING, 100))
    assert few is not None and str(few.blocks[0]).startswith(
        "All runs trained on the same 300 labelled queries, as there are no more. Take smaller"
    )
    limited = trained(RISING, seen=300)
    for point in limited.points:
        point.params["dataset.max_train_queries"] = "300"
    few = section(Study(limited, NOTHING, 100))
    assert few is not None and "as dataset.max_train_queries=300 leaves out" in str(few.blocks[0])
    assert "Take a larger limit or smaller numbers" in str(few.blocks[0])
