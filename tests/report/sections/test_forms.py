"""Every form in which a model is served is compared with its plain form."""

from dataclasses import replace

from pipeline.report.comparison import compare
from pipeline.report.points import FORM
from pipeline.report.verdict import judge
from pipeline.tracking.reader import RunRecord
from tests.pages import Page
from tests.report.sample import Stages, record, stages, written_page

NAME = "colbert_minilm_l6_3neg_1ep"
EXACT = stages(1, 0.1)
WORSE = {
    column: {m: {q: v - 0.25 * (q == "q0") for q, v in of.items()} for m, of in values.items()}
    for column, values in EXACT.items()
}
VALUES: dict[str, Stages] = {"none": EXACT, "int8": WORSE, "openvino": WORSE}


def stored(vectors: str, **metrics: float) -> RunRecord:
    return served(vectors, {"rerank.vectors": vectors}, **metrics)


def served(form: str, changed: dict[str, str], **metrics: float) -> RunRecord:
    name = NAME if form == "none" else f"{NAME}_{form}"
    run = record(NAME, "scratch", VALUES[form])
    params = run.params | FORM | changed | {"run_name": name}
    named = {name.replace("__", "/"): value for name, value in metrics.items()}
    return replace(run, run_id=form, name=name, params=params, metrics=run.metrics | named)


def test_each_form_shows_what_it_loses_adds_and_takes() -> None:
    exact = stored("none", latency__hybrid_50__rerank_p50_ms=140.0)
    int8 = stored(
        "int8",
        latency__hybrid_50__rerank_p50_ms=9.5,
        latency__hybrid_50__rerank_p50_low_ms=9.0,
        latency__hybrid_50__rerank_p50_high_ms=10.0,
        latency__hybrid_50__rerank_p95_ms=12.25,
        latency__hybrid_50__rerank_p95_low_ms=11.0,
        latency__hybrid_50__queries=20,
        vectors__mb_per_1000_passages=14.04,
        vectors__encoding_seconds=75.0,
    )
    shown = Page(written_page(compare([exact, int8], VALUES.__getitem__)))
    _, first, second = shown.table("MB of 1,000 passages", "reranking, p95 of 50", "queries timed")
    assert (first[0], second[0]) == (NAME, f"{NAME}_int8")
    assert first[1:] == ["-", "-", "-", "-", "-", "140 ms", "-", "-"]
    assert second[1:3] == ["14.0", "0:01:15"]
    # 0.25 less in one of 60 queries.
    assert second[3].startswith("-0.0042 (-0.0")
    assert second[6:] == ["9.5 ms (9.0 to 10.0)", "12.2 ms (at least 11.0)", "20"]
    assert "ColBERT" in shown.text and "OpenVINO" not in shown.text


def test_another_engine_is_a_form_of_the_same_model() -> None:
    faster = served("openvino", {"rerank.variant": "openvino"}, train__seconds=100.0)
    both = compare([stored("none", train__seconds=100.0), faster], VALUES.__getitem__)
    shown = Page(written_page(both))
    _, first, second = shown.table("MB of 1,000 passages")
    assert (first[0], second[0]) == (NAME, f"{NAME}_openvino")
    assert second[1:3] == ["-", "-"] and second[3].startswith("-0.0042 (-0.0")
    assert "OpenVINO" in shown.text
    assert "Training all models took 0:01:40, scoring 0:00:00." in shown.text
    assert "next reranker" not in judge(both, 100).sentences[0]


def test_forms_that_are_timed_in_another_way_are_of_the_same_model() -> None:
    longer = served("int8", {"rerank.vectors": "int8", "latency.fewest_queries": "100"})
    plain = served("none", {"latency.fewest_queries": "20"})
    shown = Page(written_page(compare([plain, longer], VALUES.__getitem__)))
    *_, second = shown.table("MB of 1,000 passages")
    assert second[3].startswith("-0.0042 (-0.0")


def test_nothing_is_shown_where_nothing_is_stored() -> None:
    page = Page(written_page(compare([stored("none")], VALUES.__getitem__)))
    assert "Other forms" not in page.text


def test_another_form_of_the_best_model_is_not_the_next_best() -> None:
    sentences = judge(compare([stored("none"), stored("int8")], VALUES.__getitem__), 100).sentences
    assert "next reranker" not in sentences[0]


def test_a_model_that_is_stored_in_several_ways_was_trained_once() -> None:
    none, int8 = stored("none", train__seconds=100.0), stored("int8", train__seconds=100.0)
    shown = Page(written_page(compare([none, int8], VALUES.__getitem__)))
    assert "Training all models took 0:01:40, scoring 0:00:00." in shown.text
