"""Ablations: what is held fixed, what is named, and what can't be compared."""

from dataclasses import replace

from pipeline.report.comparison import compare
from tests.pages import Page
from tests.report.sample import VALUES, record, stages, written_page


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
