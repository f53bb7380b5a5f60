"""The report page: figures agree with the store, texts are escaped, a reader without eyes or
network gets everything, and gaps are named."""

import json
import re
from dataclasses import replace
from math import nan
from pathlib import Path

import numpy as np
import pytest
from plotly.offline import get_plotlyjs_version

from pipeline.config.stages import ReportConfig, TrackingConfig
from pipeline.evaluation.bootstrap import percentiles, resampled_gains
from pipeline.evaluation.metrics import means, write_qrels, write_run
from pipeline.evaluation.significance import paired_difference
from pipeline.records import SEARCHES, Hit, Qrels
from pipeline.report.comparison import compare
from pipeline.report.format import percent
from pipeline.report.verdict import judge
from pipeline.report.write import show
from pipeline.tracking import artifacts, reader, writer
from pipeline.tracking.artifacts import Text
from pipeline.tracking.reader import RunRecord
from tests.conftest import NewStore
from tests.pages import Page
from tests.report.sample import RECORDS, VALUES, page, read, whole, written_page

EVIL = "<script>alert('x')</script> & <b>bold</b>"


def sweep(config: TrackingConfig, folder: Path) -> str:
    """Record the runs of RECORDS, with rankings, qrels and texts of one query each; their sweep."""
    qrels: Qrels = {f"q{i}": {"a b%": 1} for i in range(60)}
    hits = [Hit("other", 2.0), Hit("a b%", 1.0)]
    rankings = {"before": dict.fromkeys(qrels, hits), "after": dict.fromkeys(qrels, hits[::-1])}
    for name, ranking in rankings.items():
        write_run(folder / name, ranking, "tag")
    write_qrels(folder / "qrels.txt", qrels)
    texts = [
        Text(q, f"{EVIL} of {q}", role, "a b%", f"passage {EVIL} of {q}")
        for q in qrels
        for role in ("relevant", *(f"{search}_reranked" for search in SEARCHES))
    ]
    with writer.run(config, "sweep", {"kind": "sweep"}) as parent:
        child = replace(config, parent_run_id=parent.run_id)
        for run in RECORDS:
            if run.status != "FINISHED":
                continue
            with writer.run(child, run.name, run.tags) as active:
                active.log_params(run.params)
                active.log_metrics(run.metrics)
                artifacts.log_per_query(active, read(run.run_id))
                artifacts.log_texts(active, texts)
                active.log_file(folder / "qrels.txt", "runs")
                for search in SEARCHES:
                    for stage, source in ((search, "before"), (f"{search}_fused", "after")):
                        file = folder / f"{stage}_at_10.run"
                        file.write_bytes((folder / source).read_bytes())
                        active.log_file(file, "runs")
                    after = folder / f"{search}_reranked_at_10.run"
                    after.write_bytes((folder / "after").read_bytes())
                    active.log_file(after, "runs")
    return parent.run_id


@pytest.fixture(scope="module")
def written(
    tmp_path_factory: pytest.TempPathFactory, new_store: NewStore
) -> tuple[str, list[RunRecord]]:
    folder = tmp_path_factory.mktemp("page")
    config = new_store(folder)
    parent = sweep(config, folder)
    files = show(config, ReportConfig(), parent, folder)
    assert [file.name for file in files] == ["report.html", "report.md", "report.csv"]
    return files[0].read_text(encoding="utf-8"), reader.read_runs(config, parent)


def test_printed_figures_agree_with_the_store(written: tuple[str, list[RunRecord]]) -> None:
    shown = Page(written[0])
    tables = [t for t in shown.tables if t[1:2] == [["reranked", "fused"] * 3]]
    assert len(tables) == 4
    for table, metric in zip(
        tables, ("ndcg_at_10", "hit_rate_at_10", "ndcg_at_5", "hit_rate_at_5"), strict=True
    ):
        rows = {row[0]: row[1:] for row in table if len(row) == 7}
        for run in written[1]:
            # The store's means have four decimals, which would be rounded twice.
            exact = {stage: means(values) for stage, values in VALUES[run.name].items()}
            for stage, of_stage in exact.items():
                assert round(of_stage[metric], 4) == run.metrics[f"{stage}/{metric}"]
            for search, order, cell in zip(
                (search for search in SEARCHES for _ in range(2)),
                ("reranked", "fused") * 3,
                rows[run.name],
                strict=True,
            ):
                stage = search if run.name.startswith("none") else f"{search}_{order}"
                assert re.sub(r"[*≈]", "", cell) == f"{exact[stage][metric]:.3f}"
    # one gain and its interval, as they stand in small print
    name = "colbert_minilm_l6_1neg_10ep"
    after, before = (VALUES[name][s]["ndcg_at_10"] for s in ("vector_reranked", "vector"))
    base = sum(before.values()) / len(before)
    difference = paired_difference(after, before)
    queries = sorted(before)
    column, alone = (np.array([[values[q]] for q in queries]) for values in (after, before))
    ((low, high),) = percentiles(resampled_gains(column, alone))
    assert f"<small>{percent(difference.mean / base)}</small>" in written[0]
    assert f"<small>[{low:+.1%}, {high:+.1%}]</small>" in written[0]


def test_the_verdict_names_what_to_take_and_why(written: tuple[str, list[RunRecord]]) -> None:
    comparison = whole()
    sentences = judge(comparison, 100).sentences
    assert len(sentences) == 3
    best = max(
        (cell.value, column) for row in comparison.qualities[0].rows for column, cell in row.items()
    )
    assert sentences[0].startswith("Best quality: colbert_minilm_l6_1neg_10ep on ")
    assert f"NDCG@10 {best[0]:.3f}" in sentences[0]
    assert "p < 0.001, more than chance" in sentences[0]
    assert "12.3 ms" in sentences[1]  # of the runs within the budget
    assert sentences[2].startswith("Reranking is worth it here: ")
    assert "no reranker is that fast" in judge(comparison, 10).sentences[1]
    shown = Page(written[0])
    glance = shown.table("search", "best reranker", "gain", "more than chance?")
    assert [row[0] for row in glance[1:]] == ["vector", "FTS", "hybrid"]
    assert all(row[6] == "yes (p < 0.001)" for row in glance[1:])


def test_texts_are_shown_and_not_run(written: tuple[str, list[RunRecord]]) -> None:
    shown = Page(written[0])
    assert EVIL in shown.text
    assert "<script>alert" not in written[0]
    assert "Rank 2 → 1" in shown.text
    assert shown.table("rank", "search alone", "reranked")[1] == ["1", "0", "60"]
    comparison = compare([replace(run, name=EVIL) for run in RECORDS[:1]], read)
    assert "<script>alert" not in written_page(comparison)


def test_accessible_and_nothing_is_loaded_from_elsewhere(
    written: tuple[str, list[RunRecord]],
) -> None:
    shown = Page(written[0])
    shown.check()
    assert all((a["href"] or "").startswith("#") for a in shown.all("a"))
    assert len(shown.all("figure")) == len(shown.all("details")) > 0
    names = [a["id"] for _, a in shown.tags if a.get("id")]
    assert len(names) == len(set(names))
    assert {(a["href"] or "")[1:] for a in shown.all("a")} <= set(names)


def test_plotly_is_the_basic_bundle_and_the_page_small(
    written: tuple[str, list[RunRecord]],
) -> None:
    bundle = f"plotly.js (basic - minified) v{get_plotlyjs_version()}\n"
    assert written[0].count(bundle) == 1
    assert len(written[0].encode()) < 2_000_000
    figures = re.split(r"Plotly\.newPlot\(\s*\"[\w-]+\",\s*", written[0])[1:]
    traces = [trace for figure in figures for trace in json.JSONDecoder().raw_decode(figure)[0]]
    assert {trace["type"] for trace in traces} == {"scatter", "bar"}  # what the bundle can draw


def test_a_page_without_figures_is_small() -> None:
    assert len(written_page(compare(RECORDS[1:2], read))) < 50_000


def test_gaps_are_named() -> None:
    assert "no run of this sweep has finished" in page().text
    failed = page(RECORDS[1])
    assert failed.table("status", "reason")[1][:2] == ["FAILED", "cross_encoder_bad|name"]
    control = page(RECORDS[2])
    assert "Nothing was reranked" in control.text
    assert "nothing can be compared" in control.text
    bare = RunRecord("id", "old", "FINISHED", {}, {}, {"vector/ndcg_at_10": nan})
    text = page(bare).text
    assert "Latency was not measured" in text and "nan" not in text
    assert "the run logged no configuration" in text
    slow = replace(
        RECORDS[0], metrics={k: v for k, v in RECORDS[0].metrics.items() if "latency" not in k}
    )
    text = page(slow, RECORDS[2]).text
    assert "unknown, as latency was not measured" in text
    assert "It stored no texts" in text and "Its run files are not stored" in text


@pytest.mark.slow
def test_two_data_sets_are_compared_apart() -> None:
    two = [
        replace(run, params=run.params | {"data.fingerprint": letter * 64})
        for letter in "ab"
        for run in (RECORDS[0], RECORDS[2])
    ]
    shown = page(*two)
    headings = re.findall(r"Verdict: (pydocs \w+)", shown.text)
    assert headings == ["pydocs aaaaaaaa", "pydocs bbbbbbbb"]
    assert sum(t[1:2] == [["reranked", "fused"] * 3] for t in shown.tables) == 2 * 4
