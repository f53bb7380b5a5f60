"""Choose how much a reranker counts in fusion, on the dev queries.

The best weight on some hundred queries is a noisy choice, and an interval over test queries knows
nothing of that noise. So the choice is smoothed: the best weight is taken in many bootstrap
resamples of the dev queries, and the mean of these weights is used (bagging, Breiman 1996).
``benchmarks/fusion_choice.py`` shows what the smoothing does to the coverage of the interval.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.retrieval.fusion import FUSION_WEIGHTS

RESAMPLES = 1000
SEED = 0


def smoothed_choice(values: NDArray[np.float64]) -> float:
    """Return the fusion weight (0..1, two decimals) for the dev queries' ``values``.

    ``values`` has shape (len(FUSION_WEIGHTS), queries): the metric of every query if it is fused
    with that weight. Of equally good weights a resample takes the smallest, so a reranker that
    changes nothing gets 0, the order of the search.
    """
    queries = values.shape[1]
    resamples = np.random.default_rng(SEED).multinomial(
        queries, np.full(queries, 1 / queries), size=RESAMPLES
    )
    # Rounded, so that equally good weights tie. The weights ascend, and argmax takes the first.
    means = np.round(resamples @ values.T / queries, 6)
    best = np.array(FUSION_WEIGHTS)[means.argmax(axis=1)]
    return round(float(best.mean()), 2)
