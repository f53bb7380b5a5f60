"""The advised thresholds of the best rerankers, as the runs logged them."""

from dataclasses import replace

from pipeline.report.comparison import compare
from pipeline.report.document import document
from pipeline.report.markdown import markdown
from pipeline.report.study import Study
from pipeline.tracking.reader import RunRecord
from tests.pages import Page
from tests.report.sample import NOTHING, record, stages, written_page

VALUES = {f"colbert_{name}": stages(i, 0.1 * i) for i, name in enumerate("abcd")}
VALUES["cross_encoder_a"] = stages(4, 0.05)
METRICS = {
    "calibration/brier_score": 0.02469,
    "calibration/expected_error": 0.0031,
    "thresholds/best_f1_probability": 0.37,
    "thresholds/best_f1_precision": 0.5,
    "thresholds/best_f1_recall": 0.625,
    "thresholds/best_f1_answered": 0.8,
    "thresholds/precision_90_probability": 0.91,
    "thresholds/precision_90_precision": float("nan"),
    "thresholds/precision_90_recall": 0.0,
    "thresholds/precision_90_answered": 0.0,
}


def calibrated(name: str, metrics: dict[str, float] = METRICS, **more: str) -> RunRecord:
    run = record(name, "scratch", VALUES[name])
    params = run.params | {"base.name": name} | more
    return replace(run, run_id=name, params=params, metrics=run.metrics | metrics)


def test_the_two_best_of_each_architecture_show_their_thresholds() -> None:
    comparison = compare([calibrated(name) for name in VALUES], VALUES.__getitem__)
    page = Page(written_page(comparison))
    heads, *rows = page.table("goal", "threshold")
    assert heads == ["run", "goal", "threshold", "precision", "recall", "answered"]
    assert [row[:2] for row in rows] == [
        [name, goal]
        for name in ("colbert_d", "colbert_c", "cross_encoder_a")
        for goal in ("best F1", "precision 0.9")
    ]
    assert rows[0][2:] == ["0.370", "0.500", "0.625", "0.800"]
    assert rows[1][2:] == ["0.910", "-", "0.000", "0.000"]
    _, first, *_ = page.table("Brier score", "expected calibration error")
    assert first == ["colbert_d", "0.0031", "0.0247"]
    text = markdown(document(Study(comparison, NOTHING, 100.0)))
    assert "| colbert_d | best F1 | 0.370 | 0.500 | 0.625 | 0.800 |" in text


def test_a_model_that_is_stored_in_several_ways_is_one_reranker() -> None:
    stored = {"base.name": "same", "rerank.vectors": "int8"}
    runs = [calibrated(f"colbert_{name}", METRICS, **stored) for name in "ad"]
    runs[0].params["rerank.vectors"] = "none"
    page = Page(written_page(compare(runs, VALUES.__getitem__)))
    _, *rows = page.table("Brier score", "expected calibration error")
    assert [row[0] for row in rows] == ["colbert_d"]


def test_of_several_seeds_the_thresholds_are_those_of_the_first() -> None:
    other = {name: value / 2 for name, value in METRICS.items()}
    one = calibrated("colbert_a", METRICS, seed="1")
    two = replace(calibrated("colbert_a", other, seed="2"), run_id="colbert_b")
    page = Page(written_page(compare([two, one], VALUES.__getitem__)))
    _, first, *_ = page.table("goal", "threshold")
    assert first == ["colbert_a (2 seeds), seed 1", "best F1", "0.370", "0.500", "0.625", "0.800"]


def test_runs_that_reach_no_goal_or_are_not_calibrated() -> None:
    only_errors = {name: v for name, v in METRICS.items() if name.startswith("calibration/")}
    page = Page(written_page(compare([calibrated("colbert_a", only_errors)], VALUES.__getitem__)))
    assert page.table("Brier score", "expected calibration error")
    assert "Thresholds" in page.text
    page = Page(written_page(compare([calibrated("colbert_a", {})], VALUES.__getitem__)))
    assert "Thresholds" not in page.text
