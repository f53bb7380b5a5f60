"""Two orders of the same candidates side by side, as numbers. Pure.

The gain is relative: (model - baseline) / baseline, of the metric's means over the queries.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, nan

from pipeline.evaluation.metrics import means
from pipeline.evaluation.significance import LEVEL, PairedDifference, interval, paired_difference
from pipeline.experiment.head_to_head import Measured, Task
from pipeline.records import Refused

WORST = 10  # queries shown


@dataclass(frozen=True)
class Row:
    """One search: means, and the model minus the baseline over the same queries.

    ``alone`` is the search without reranking, None where nothing was searched. Without a
    baseline, ``baseline`` and all that follows it are None or 0.
    """

    search: str
    alone: float | None
    model: float
    low: float  # 95% interval of the model's mean
    high: float
    baseline: float | None = None
    difference: PairedDifference | None = None
    wins: int = 0  # queries on which the model is better
    ties: int = 0
    losses: int = 0

    @property
    def gain(self) -> float:
        """Relative, 0.05 is 5% more; infinite over a baseline of 0; NaN without one."""
        if self.baseline is None or self.difference is None:
            return nan
        if self.baseline == 0:
            return inf if self.difference.mean > 0 else 0.0
        return self.difference.mean / self.baseline


@dataclass(frozen=True)
class Case:
    """One query, its first relevant passage and what the model ranked first instead.

    "First" relevant is the best-graded passage, by id among equals; its rank is None if it is
    not among the candidates.
    """

    query_id: str
    query: str
    value: float
    baseline: float | None
    relevant_id: str
    relevant: str
    relevant_rank: int | None
    ranked_first_id: str
    ranked_first: str


def compare(search: str, model: Measured, baseline: Measured | None, alone: Measured | None) -> Row:
    """The figures of one search; seeds are fixed, so they repeat."""
    low, high = interval(model.values)
    first_stage = None if alone is None else _mean(alone)
    if baseline is None:
        return Row(search, first_stage, _mean(model), low, high)
    signs = [model.values[query] - value for query, value in baseline.values.items()]
    return Row(
        search,
        first_stage,
        _mean(model),
        low,
        high,
        _mean(baseline),
        paired_difference(model.values, baseline.values),
        wins=sum(sign > 0 for sign in signs),
        ties=sum(sign == 0 for sign in signs),
        losses=sum(sign < 0 for sign in signs),
    )


def worst_cases(
    task: Task, search: str, model: Measured, baseline: Measured | None, count: int = WORST
) -> list[Case]:
    """The queries with the lowest values, the largest loss against the baseline first.

    Only queries below 1, the most that a measure can be, with a relevant passage among the
    candidates: on the others no reranker can do better.
    """

    def before(query_id: str) -> float | None:
        return None if baseline is None else baseline.values[query_id]

    def badness(query_id: str) -> tuple[float, float, str]:
        value = model.values[query_id]
        return value, value - (before(query_id) or 0.0), query_id

    improvable = [
        query_id
        for query_id, hits in task.candidates[search].items()
        if model.values[query_id] < 1 and any(hit.doc_id in task.qrels[query_id] for hit in hits)
    ]
    cases = []
    for query_id in sorted(improvable, key=badness)[:count]:
        gains = task.qrels[query_id]
        relevant = min(gains, key=lambda doc_id: (-gains[doc_id], doc_id))
        ids = [hit.doc_id for hit in model.ranking[query_id]]
        cases.append(
            Case(
                query_id,
                task.queries[query_id],
                model.values[query_id],
                before(query_id),
                relevant,
                task.dataset.corpus[relevant],
                ids.index(relevant) + 1 if relevant in ids else None,
                ids[0],
                task.dataset.corpus[ids[0]],
            )
        )
    return cases


def gate(row: Row, metric: str, min_gain: float) -> None:
    """Pass a relative gain of at least ``min_gain`` that is significant at p < 0.05.

    Raises:
        Refused: the gain is smaller, or no more than chance.
    """
    assert row.difference is not None
    said = f"{metric} ({row.search}): the gain is {row.gain:+.1%}"
    if row.gain < min_gain:
        raise Refused(f"{said}, the gate asks for {min_gain:+.1%}")
    if row.difference.p_value >= LEVEL:
        raise Refused(f"{said}, but not significant (p = {row.difference.p_value:.3f})")


def _mean(measured: Measured) -> float:
    values: Mapping[str, float] = measured.values
    return means({"mean": dict(values)})["mean"]
