"""The published figures stand beside the same points, on GooAQ only."""

from dataclasses import replace

import pytest

from pipeline.report.comparison import compare
from pipeline.report.sections import published
from tests.report.sample import RECORDS, page, read


@pytest.mark.slow
def test_published_figures_only_beside_gooaq() -> None:
    gooaq = replace(
        RECORDS[0],
        tags=RECORDS[0].tags | {"dataset": "gooaq", "arch": "colbert"},
        params={
            "negatives": "1",
            "epochs": "1",
            "base.path": "answerdotai/answerai-colbert-small-v1",
        },
    )
    rows = published.quality(compare([gooaq], read))
    ours = f"{100 * gooaq.metrics['vector_reranked/hit_rate_at_10']:.2f}"
    shown = ["finetuned", "answerai-colbert-small-v1-1-neg-1-epoch", "10", "70.00", ours]
    assert shown in [row[:5] for row in rows]
    assert len(published.latency(compare([gooaq], read))) == 24 == len(published.rows("latency"))
    assert "Beside the published figures" in page(gooaq).text
    assert "Beside the published figures" not in page(RECORDS[0]).text
