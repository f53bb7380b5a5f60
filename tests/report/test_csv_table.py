"""The CSV table holds every figure in full precision."""

import csv
from pathlib import Path

from pipeline.evaluation.metrics import means
from pipeline.report.csv_table import write_csv
from tests.report.sample import VALUES, whole


def test_csv_holds_everything(tmp_path: Path) -> None:
    comparison = whole()
    write_csv(tmp_path / "report.csv", [comparison])
    with (tmp_path / "report.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["run"] for row in rows[:5]] == comparison.labels
    last = rows[4]
    assert (
        float(last["fts_fused/hit_rate_at_5"])
        == means(VALUES["colbert_minilm_l6_1neg_10ep"]["fts_fused"])["hit_rate_at_5"]
    )
    assert last["train/seconds"] == "288.4"
    assert (last["group"], last["negatives"], last["seed"]) == ("scratch", "1", "12")
    cell = comparison.qualities[0].rows[4]["fts_fused"]
    named = {"gain": cell.relative, "low": cell.low, "high": cell.high, "p": cell.p_value}
    assert {name: float(last[f"{name} fts_fused/ndcg_at_10"]) for name in named} == named
    ends = comparison.qualities[0].rows[3]["fts_fused"].to_best
    found = [rows[3][f"to best {end} fts_fused/ndcg_at_10"] for end in ("low", "high")]
    assert tuple(map(float, found)) == ends
    assert last["to best low fts_fused/ndcg_at_10"] == ""  # the best itself
    assert float(last["chosen low fts_fused/ndcg_at_10"]) == cell.chosen[0]
    assert "p baseline fts_fused/ndcg_at_10" not in last
    assert rows[5]["failure"] == "ValueError: a|b <c>\nd"
    assert rows[5]["vector/ndcg_at_10"] == ""
