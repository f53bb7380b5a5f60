"""Calibrate the reranker of a point, and read the calibration that a model was saved with.

``calibration.json`` lies beside the weights, so that it goes wherever the model is copied. It holds
slope and intercept, and what they were fitted on. A model that could not be calibrated has the
reason in it.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.config import Config
from pipeline.config.stages import RerankConfig
from pipeline.evaluation import thresholds
from pipeline.evaluation.calibration import (
    Calibration,
    Uncalibrated,
    brier_score,
    expected_error,
    fit,
    judged,
)
from pipeline.infra.model_files import CALIBRATION
from pipeline.records import Dataset, PairScores

log = logging.getLogger(__name__)

REASON = "uncalibrated"  # in place of the numbers
REMEDY = "a run on enough dev queries makes them, also one with epochs=0"


def calibrate(
    config: Config, dataset: Dataset, scores: PairScores | None
) -> tuple[dict[str, object], dict[str, float]]:
    """Fit probabilities to the scores of the dev queries, and measure them on the test queries.

    Returns what ``save`` writes, and the metrics ``calibration/...`` and ``thresholds/...``. The
    control has no ``scores``, so there is nothing to return.
    """
    if scores is None:
        return {}, {}
    if not dataset.dev.queries:
        return {REASON: "its data set has no dev queries"}, {}
    dev, test = judged(scores, dataset.dev.qrels), judged(scores, dataset.test.qrels)
    try:
        calibration = fit(dev)
    except Uncalibrated as reason:
        log.info("the scores can't be made probabilities: %s", reason)
        return {REASON: str(reason)}, {}
    advised = thresholds.choose(calibration.probabilities(dev.scores), dev.relevant)
    metrics = {}
    if len(test.scores):
        on_test = calibration.probabilities(test.scores)
        measured = thresholds.measure(test, on_test, advised)
        metrics = {f"thresholds/{name}": value for name, value in measured.items()} | {
            "calibration/brier_score": brier_score(on_test, test.relevant),
            "calibration/expected_error": expected_error(on_test, test.relevant),
        }
    fitted_on = {
        "dataset": dataset.name,
        "candidates": len(dev.scores),
        "relevant": int(dev.relevant.sum()),
        "rerank": asdict(config.rerank),
    }
    return asdict(calibration) | fitted_on, metrics


def save(folder: Path, found: Mapping[str, object]) -> Path:
    """Write what ``calibrate`` found into the folder of the model; return the file."""
    file = folder / CALIBRATION
    file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return file


def read(folder: Path, rerank: RerankConfig) -> Calibration:
    """Read the calibration of the model in ``folder``, for passages that are scored as ``rerank``.

    Raises:
        Uncalibrated: there is none, or it was made for other settings of ``rerank``.
    """
    file = folder / CALIBRATION
    found: dict[str, Any] = {REASON: "it was saved without calibration.json"}
    if file.is_file():
        found = json.loads(file.read_text(encoding="utf-8"))
    if "slope" not in found:
        reason = found.get(REASON, "its calibration.json is of another kind")
        raise Uncalibrated(f"the model has no probabilities: {reason}; {REMEDY}")
    now = asdict(rerank)
    other = {key: value for key, value in found["rerank"].items() if now.get(key) != value}
    if other:
        words = (f"rerank.{key}={'null' if v is None else v}" for key, v in other.items())
        raise Uncalibrated(f"the model has probabilities only with {' '.join(words)}")
    return Calibration(found["slope"], found["intercept"])
