"""Advise from which probability on a passage is worth showing.

A threshold is chosen on dev queries and measured on test queries. It is one of
0.001, 0.002, ... 0.999, so that the one that is shown is the one that was measured.
"""

from collections.abc import Mapping

import numpy as np

from pipeline.evaluation.calibration import Flags, Floats, LabelledScores

GRID: Floats = np.arange(1, 1000) / 1000
PRECISIONS = {"precision_50": 0.5, "precision_90": 0.9}
"""What a threshold is for, beside the best F1: a precision that it must reach."""
FEWEST = 10  # candidates from which on a precision counts


def choose(probabilities: Floats, relevant: Flags) -> dict[str, float]:
    """Return aim -> threshold; an aim that no threshold reaches is missing.

    ``best_f1`` has the best F1 of precision and recall. The others are the lowest that reach their
    precision with at least ``FEWEST`` candidates. Of equally good ones the lowest is chosen.
    """
    ascending = np.sort(probabilities)
    shown = len(probabilities) - np.searchsorted(ascending, GRID)
    right = int(relevant.sum()) - np.searchsorted(np.sort(probabilities[relevant]), GRID)
    f1 = 2 * right / (shown + relevant.sum())
    reached = {"best_f1": (f1 == f1.max()) & (right > 0)} | {
        aim: (right >= precision * shown) & (shown >= FEWEST)
        for aim, precision in PRECISIONS.items()
    }
    return {aim: float(GRID[flags.argmax()]) for aim, flags in reached.items() if flags.any()}


def measure(
    test: LabelledScores, probabilities: Floats, thresholds: Mapping[str, float]
) -> dict[str, float]:
    """Return the metrics of every threshold, such as ``best_f1_precision``.

    ``probability`` is the threshold itself. ``precision`` is the share of relevant candidates among
    those that reach it, NaN if none does. ``recall`` is the share of the relevant candidates that
    reach it. ``answered`` is the share of the queries with a candidate that reaches it.
    """
    metrics: dict[str, float] = {}
    for aim, threshold in thresholds.items():
        shown = probabilities >= threshold
        right = int((shown & test.relevant).sum())
        metrics |= {
            f"{aim}_probability": threshold,
            f"{aim}_precision": _share(right, int(shown.sum())),
            f"{aim}_recall": _share(right, int(test.relevant.sum())),
            f"{aim}_answered": _share(len(np.unique(test.queries[shown])), test.of_queries),
        }
    return metrics


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
