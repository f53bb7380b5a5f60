"""The measure on test queries that share no relevant passage with training, beside that on all."""

from statistics import fmean

from pipeline.report.comparison import compare
from pipeline.report.sections import trained
from pipeline.report.sections.tables import facts
from pipeline.report.study import Study
from pipeline.tracking.artifacts import FACTS, TRAINED
from tests.pages import Page
from tests.report.sample import NOTHING, RECORDS, VALUES, Stages, read, whole, written_page


def flagged(share: int) -> dict[str, float]:
    """1 for the first ``share`` of the 60 queries."""
    return {f"q{i}": float(i < share) for i in range(60)}


def test_both_figures_stand_side_by_side() -> None:
    def with_flags(run_id: str) -> Stages:
        return read(run_id) | {FACTS: {TRAINED: flagged(40)}}

    comparison = compare(RECORDS, with_flags)
    assert "40 of 60 test queries share a relevant passage with a training query" in facts(
        comparison
    )
    heads, *rows = Page(written_page(comparison)).table("run", "search", "alone", "others")
    assert heads == ["run", "search", "alone", "others", "reranked", "others", "fused", "others"]
    name = "colbert_minilm_l6_1neg_10ep"
    row = next(row for row in rows if row[:2] == [name, "FTS"])
    for column, on_all, others in zip(
        ("fts", "fts_reranked", "fts_fused"), row[2::2], row[3::2], strict=True
    ):
        values = VALUES[name][column]["ndcg_at_10"]
        assert on_all == f"{fmean(values.values()):.3f}"
        assert others == f"{fmean(values[f'q{i}'] for i in range(40, 60)):.3f}"
    # The flags are facts, no column of results.
    assert not any(name.startswith(FACTS) for name in comparison.points[0].metrics)


def test_there_is_no_section_where_no_query_shares_a_passage() -> None:
    assert trained.section(Study(whole(), NOTHING, 100)) is None
    none = compare(RECORDS[:1], lambda r: read(r) | {FACTS: {TRAINED: flagged(0)}})
    assert trained.section(Study(none, NOTHING, 100)) is None
    every = compare(RECORDS[:1], lambda r: read(r) | {FACTS: {TRAINED: flagged(60)}})
    found = trained.section(Study(every, NOTHING, 100))
    assert found is not None and len(found.blocks) == 2
