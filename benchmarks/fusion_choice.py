"""How often the interval of a fused result covers the truth, by the way its weight is chosen.

Draws dev and test queries from a large made-up population, many times. Every time a fusion weight
is chosen on the dev queries, and the 95% interval of the gain of fusion over the search is computed
on the test queries. The truth is the mean gain over the draws, so the interval is wrong as well if
another draw of dev queries would have led to another weight.

    python benchmarks/fusion_choice.py

Prints one line per kind of reranker and way to choose; takes about a minute on one core.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.fusion_choice import smoothed_choice

Array = NDArray[np.float64]

QUERIES = 20_000  # of the population
CANDIDATES = 40
CUTOFF = 10
DEV, TEST = 100, 400  # queries of a draw
DRAWS = 500
WEIGHTS = np.arange(101) / 100  # whose values are known
RERANKERS = {"good": 2.0, "weak": 1.0, "useless": 0.0}
"""How far above the others a reranker scores the relevant passage, in their standard deviations."""


class Coverage(NamedTuple):
    """Of the draws: how often the interval covers the truth, and the spread of the true gains."""

    covered: float
    gain: float
    spread: float


def best(values: Array) -> float:
    """Return the weight with the best mean, without smoothing."""
    return float(np.round(values.mean(axis=1), 6).argmax()) / 10


def population(lift: float, rng: np.random.Generator) -> Array:
    """Compute NDCG by (weight, query) for a search of lift 2.0 and a reranker of ``lift``."""
    sides = []
    for mean in (2.0, lift):
        scores = rng.normal(size=(QUERIES, CANDIDATES))
        scores[:, 0] += mean + (0.8 * rng.normal(size=QUERIES) if mean else 0.0)
        low, high = scores.min(axis=1, keepdims=True), scores.max(axis=1, keepdims=True)
        sides.append((scores - low) / (high - low))
    values = np.empty((len(WEIGHTS), QUERIES))
    for i, weight in enumerate(WEIGHTS):
        fused = (1 - weight) * sides[0] + weight * sides[1]
        rank = 1 + (fused > fused[:, :1]).sum(axis=1)
        values[i] = np.where(rank <= CUTOFF, 1 / np.log2(1 + rank), 0.0)
    return values


def coverage(values: Array, choose: Callable[[Array], float], seed: int) -> Coverage:
    """Draw dev and test queries ``DRAWS`` times from the population ``values``."""
    rng = np.random.default_rng(seed)
    gains = values.mean(axis=1) - values[0].mean()
    true, low, high = np.empty((3, DRAWS))
    for draw in range(DRAWS):
        dev = values[::10, rng.integers(0, QUERIES, DEV)]
        chosen = round(100 * choose(dev))
        true[draw] = gains[chosen]
        test = rng.integers(0, QUERIES, TEST)
        differences = values[chosen, test] - values[0, test]
        half = 1.96 * differences.std(ddof=1) / np.sqrt(TEST)
        low[draw], high[draw] = differences.mean() - half, differences.mean() + half
    covered = (low <= true.mean()) & (true.mean() <= high)
    return Coverage(float(covered.mean()), float(true.mean()), float(true.std()))


def main() -> None:
    """Print the table."""
    print(f"{DEV} dev and {TEST} test queries, {DRAWS} draws")
    print("reranker  choice    covered  true gain  its spread")
    for name, lift in RERANKERS.items():
        values = population(lift, np.random.default_rng(0))
        for way, choose in (("best", best), ("smoothed", smoothed_choice)):
            found = coverage(values, choose, seed=1)
            print(
                f"{name:8}  {way:8}  {found.covered:7.1%}  {found.gain:+9.4f}  {found.spread:10.4f}"
            )


if __name__ == "__main__":
    main()
