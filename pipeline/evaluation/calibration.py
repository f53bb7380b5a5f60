"""Turn a reranker's scores into probabilities, and measure how right these are.

Platt scaling fits a logistic curve with two numbers: probability = 1 / (1 + exp(-(slope x score +
intercept))). It is the chance that a passage among the reranked candidates is labelled relevant.
The order of the passages stays as it is.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import expit

from pipeline.records import PairScores, Qrels

GROUPS = 10  # of the expected calibration error

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Uncalibrated(Exception):
    """A model has no probabilities; the message says why."""


@dataclass(frozen=True)
class Calibration:
    """The two numbers of the logistic curve; ``slope`` is above 0."""

    slope: float
    intercept: float

    def probabilities(self, scores: ArrayLike) -> Floats:
        """Return the probability of every score."""
        found: Floats = expit(self.slope * np.asarray(scores, np.float64) + self.intercept)
        return found


@dataclass(frozen=True)
class LabelledScores:
    """The candidates of all searches, each pair of query and passage once, as arrays."""

    queries: NDArray[np.int64]  # the number of the candidate's query
    scores: Floats
    relevant: Flags
    of_queries: int  # how many queries there are, also without candidates


def judged(scores: PairScores, qrels: Qrels) -> LabelledScores:
    """Label the scored candidates of the queries of ``qrels``; relevant is a gain from 1."""
    rows = [
        (number, score, gains.get(doc_id, 0) >= 1)
        for number, (query_id, gains) in enumerate(qrels.items())
        for doc_id, score in scores.get(query_id, {}).items()
    ]
    queries, values, relevant = np.array(rows, np.float64).reshape(-1, 3).T
    return LabelledScores(queries.astype(np.int64), values, relevant.astype(np.bool_), len(qrels))


def fit(dev: LabelledScores) -> Calibration:
    """Fit the curve to the candidates of the dev queries by maximum likelihood.

    The labels are smoothed as in Platt 1999 (Probabilistic outputs for support vector machines,
    equation 5): n relevant ones count as (n + 1) / (n + 2) and n others as 1 / (n + 2). So the
    curve stays finite where a score parts all relevant candidates from the others.

    Raises:
        Uncalibrated: the candidates are all relevant, or none is; or their scores are the same, or
            higher for the others than for the relevant ones.
    """
    relevant, others = int(dev.relevant.sum()), int((~dev.relevant).sum())
    if not relevant:
        raise Uncalibrated("no candidate of the dev queries is relevant")
    if not others:
        raise Uncalibrated("all candidates of the dev queries are relevant")
    mean, deviation = dev.scores.mean(), dev.scores.std()
    if deviation == 0:
        raise Uncalibrated("all candidates of the dev queries have the same score")
    # Logits and MaxSim differ in size; the fit sees scores around 0.
    scores = (dev.scores - mean) / deviation
    labels = np.where(dev.relevant, (relevant + 1) / (relevant + 2), 1 / (others + 2))

    def loss(curve: Floats) -> tuple[float, Floats]:
        logits = curve[0] * scores + curve[1]
        residuals = expit(logits) - labels
        value = np.logaddexp(0, logits).sum() - labels @ logits
        return float(value), np.array([residuals @ scores, residuals.sum()])

    steepness, height = minimize(loss, np.zeros(2), jac=True, method="BFGS").x
    slope = float(steepness / deviation)
    if slope <= 0:
        raise Uncalibrated("relevant candidates of the dev queries have no higher scores")
    return Calibration(slope, float(height - slope * mean))


def brier_score(probabilities: Floats, relevant: Flags) -> float:
    """Return the mean squared difference of probability and label (Brier 1950), 0 at best."""
    return float(np.mean((probabilities - relevant) ** 2))


def expected_error(probabilities: Floats, relevant: Flags) -> float:
    """Return the expected calibration error over ten groups of equal size.

    The candidates are grouped by their probability. The error of a group is the distance of its
    mean probability from its share of relevant candidates (Nguyen and O'Connor 2015).
    """
    order = np.argsort(probabilities, kind="stable")
    groups = np.array_split((probabilities - relevant)[order], GROUPS)
    return float(sum(abs(group.sum()) for group in groups) / len(probabilities))
