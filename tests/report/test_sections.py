"""The sections below the tables: ablations and ranks."""

from dataclasses import replace

from pipeline.report.comparison import compare
from pipeline.report.sections.queries import Stored, changes
from pipeline.report.verdict import judge
from tests.pages import Page
from tests.report.test_page import written_page
from tests.report.test_terminal import RECORDS, VALUES, read, record, stages


def test_ablations_hold_the_other_axes_fixed() -> None:
    values = {n: stages(n, 0.1) for n in (1, 2, 5)}
    runs = [
        replace(
            record(f"colbert_minilm_{n}neg_1ep", "scratch", v),
            params={"negatives": str(n), "epochs": "1"},
        )
        for n, v in values.items()
    ]
    runs = [replace(r, metrics=r.metrics | {"train/steps": 1200.0}) for r in runs]
    comparison = compare(runs, lambda run_id: values[int(run_id.split("_")[2][0])])
    shown = Page(written_page(comparison))
    rows = shown.table("held fixed", "negatives", "steps", "pairs seen")[1:]
    assert [row[1] for row in rows] == ["1", "2", "5"]
    assert rows[0][0] == "colbert, 1 ep" and rows[0][4] == "1,200"
    assert rows[0][2] == f"{runs[0].metrics['vector_reranked/ndcg_at_10']:.3f}"
    assert "Not varied with the rest held fixed: architecture, base, epochs." in shown.text


def test_parameters_that_are_tuned_with_the_architecture_are_named() -> None:
    shared = {"negatives": "1", "epochs": "1"}
    runs = [
        replace(
            record(f"{arch}_minilm_1neg_1ep", "scratch", VALUES["colbert_minilm_l6_1neg_2ep"]),
            params=shared | {"train.learning_rate": rate, "arch.name": arch},
        )
        for arch, rate in (("colbert", "1e-5"), ("cross_encoder", "1e-4"))
    ]
    runs = [replace(run, tags=run.tags | {"arch": run.params["arch.name"]}) for run in runs]
    comparison = compare(runs, lambda _: VALUES["colbert_minilm_l6_1neg_2ep"])
    assert "; train.learning_rate differ as well" in Page(written_page(comparison)).text


def test_ranks_beyond_the_last_bin_are_found() -> None:
    comparison = compare(RECORDS[:1], read)
    best = judge(comparison, 100).best
    assert best is not None
    documents = [f"d{i}" for i in range(149)]
    before = {"q0": [*documents, "r"], "q1": [*documents[:100], "r"], "q2": ["r"], "q3": documents}
    stored = Stored(
        lambda run, stage, k: before, lambda run: {key: {"r"} for key in before}, lambda run: []
    )
    ranks, _, _ = changes(comparison, best, stored)
    assert ranks is not None
    assert ranks.bins[-2:] == ["101-150", "not found"]
    assert (ranks.before[0], *ranks.before[-2:]) == (1, 2, 1)
