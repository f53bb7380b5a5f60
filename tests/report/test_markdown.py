"""The markdown report: well-formed tables with the figures, and nothing in it is markup."""

from pipeline.evaluation.metrics import means
from pipeline.report.markdown import markdown
from tests.report.sample import VALUES, documented, whole


def test_markdown() -> None:
    document = markdown(documented(whole()))
    for title in ("### NDCG@10", "### Hit rate@10", "### NDCG@5", "### Hit rate@5"):
        assert title in document
    tables = [part.splitlines() for part in document.split("\n\n") if part.startswith("|")]
    for rows in tables:
        assert len({row.replace(r"\|", "").count("|") for row in rows}) == 1
    figures = [rows for rows in tables if rows[0].startswith("| group | run |")]
    assert [len(rows) for rows in figures] == [7] * 4
    best = next(row for row in figures[0] if "1neg_10ep" in row)
    after, before = (
        means(VALUES["colbert_minilm_l6_1neg_10ep"][stage])["ndcg_at_10"]
        for stage in ("vector_reranked", "vector")
    )
    assert rf"**{after:.3f}**\* ({after / before - 1:+.1%})" in best
    assert document.startswith("# Comparison\n\n**Best quality:** colbert_minilm_l6_1neg_10ep on ")
    assert "## How to reproduce each row" in document
    assert r"| FAILED | cross_encoder_bad\|name | " in document
    assert r"ValueError: a\|b \<c> d" in document
