"""Section "Thresholds": from which probability on a passage is worth showing."""

from collections import Counter
from math import isnan

from pipeline.evaluation.thresholds import PRECISIONS
from pipeline.report.blocks import Section, Table
from pipeline.report.comparison import Comparison
from pipeline.report.format import number
from pipeline.report.labels import run_label
from pipeline.report.points import model_of
from pipeline.report.study import Study
from pipeline.tracking.reader import RunRecord

SHOWN = 2  # rerankers of an architecture
GOALS = {"best_f1": "best F1"} | {aim: f"precision {p}" for aim, p in PRECISIONS.items()}
FIGURES = ("probability", "precision", "recall", "answered")
TEXTS = (
    "A server gives probabilities for a model that is calibrated: the chance that a passage among "
    "the reranked candidates is labelled relevant. To show only good answers, leave out the "
    "passages below a threshold. A query of which none is left has no good answer.",
    "Probabilities and thresholds were fitted on the dev queries. The other figures are those of "
    "the test queries, over the candidates of all searches together. Precision is the share of "
    "relevant passages among those shown, recall the share of relevant candidates that are shown, "
    "and answered the share of queries with a passage to show. A goal is missing if no threshold "
    "reached it on the dev queries.",
)


def section(study: Study) -> Section | None:
    """Show the advised thresholds of the best rerankers, and how right their probabilities are."""
    best = _best(study.comparison)
    if not best:
        return None
    rows = [
        [label, goal, *(number(run.metrics.get(name)) for name in _names(aim))]
        for label, run in best.items()
        for aim, goal in GOALS.items()
        if f"thresholds/{aim}_probability" in run.metrics
    ]
    advised = Table("Thresholds", ["run", "goal", "threshold", *FIGURES[1:]], rows, names=2)
    errors = ("expected_error", "brier_score")
    figures = [
        [label, *(number(run.metrics.get(f"calibration/{name}"), ".4f") for name in errors)]
        for label, run in best.items()
    ]
    heads = ["run", "expected calibration error", "Brier score"]
    right = Table("How far the probabilities are off, on the test queries", heads, figures)
    return Section("Thresholds", [*TEXTS, *([advised] if rows else []), right])


def _names(aim: str) -> list[str]:
    return [f"thresholds/{aim}_{figure}" for figure in FIGURES]


def _best(comparison: Comparison) -> dict[str, RunRecord]:
    """Return label -> run of the best calibrated rerankers, by the first measure, best first.

    They are the best of each architecture: a worse ranking may have the better probabilities, if
    its scores can be compared between queries. Of the forms of a model the best one is shown. Of
    several seeds it is the first one: each seed has thresholds of its own, and a mean of them was
    measured with none.
    """
    if not comparison.qualities:
        return {}
    found = []
    for i, point in enumerate(comparison.points):
        cells = comparison.qualities[0].rows[i]
        own = [c.value for column, c in cells.items() if column.endswith("_reranked")]
        values = [value for value in own if not isnan(value)]
        if values and "calibration/brier_score" in point.metrics:
            found.append((max(values), comparison.labels[i], point))
    found.sort(key=lambda item: -item[0])
    models: set[object] = set()
    of_arch: Counter[str] = Counter()
    best = {}
    for _, label, point in found:
        model, arch = model_of(point), point.tags.get("arch", "")
        if model not in models and of_arch[arch] < SHOWN:
            run = point.runs[0]
            best[run_label(label, point, run)] = run
            of_arch[arch] += 1
        models.add(model)
    return best
