"""Where a gain comes from: queries won and lost, and where the relevant passage moved."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.report.comparison import Comparison
from pipeline.report.uncertainty import COLUMNS
from pipeline.report.verdict import System
from pipeline.tracking.artifacts import Text
from pipeline.tracking.reader import RunRecord

SHOWN = 10  # wins, and losses
BINS = (1, 3, 5, 10, 20, 50, 100)  # last rank of each bar; one more where ranks go deeper


@dataclass(frozen=True)
class Tally:
    """Queries on which a point is better, worse and the same as its search alone."""

    won: int
    lost: int
    tied: int


@dataclass(frozen=True)
class Change:
    """One query with the rank of its first relevant passage; None: not among the candidates."""

    query_id: str
    difference: float  # of the metric
    before: int | None
    after: int | None
    query: str  # empty where the run kept no texts
    relevant: str
    first: str  # the passage that the reranker put first


@dataclass(frozen=True)
class Ranks:
    """How many queries have their relevant passage in each bin of ranks."""

    bins: list[str]
    before: list[int]
    after: list[int]


@dataclass(frozen=True)
class Stored:
    """What of a run's artifacts is read: rankings by stage and cutoff, qrels, texts."""

    ranking: Callable[[RunRecord, str, int], Mapping[str, Sequence[str]]]
    relevant: Callable[[RunRecord], Mapping[str, set[str]]]
    texts: Callable[[RunRecord], Sequence[Text]]


def tallies(comparison: Comparison) -> list[dict[str, Tally]]:
    """For every point, column -> wins, losses and ties on the first quality's measure."""
    metric = comparison.qualities[0].metric
    rows: list[dict[str, Tally]] = []
    for run in comparison.runs:
        rows.append({})
        for column, mode in COLUMNS.items():
            after, before = run.values.of(column, metric), run.values.of(mode, metric)
            if after is not None and before is not None:
                difference = after - before
                won, lost = int(np.sum(difference > 0)), int(np.sum(difference < 0))
                rows[-1][column] = Tally(won, lost, len(difference) - won - lost)
    return rows


def changes(
    comparison: Comparison, system: System, stored: Stored
) -> tuple[Ranks | None, list[Change], list[Change]]:
    """Ranks before and after, the biggest wins and the biggest losses of a system.

    Of several seeds the first one's rankings and texts are shown. No ranks where the run files
    are missing; then the changes have none either.
    """
    quality = comparison.qualities[0]
    point = comparison.runs[system.point]
    run = point.runs[0]
    relevant = stored.relevant(run)
    before = _first_ranks(stored.ranking(run, system.mode, quality.cutoff), relevant)
    after = _first_ranks(stored.ranking(run, system.column, quality.cutoff), relevant)
    ranks = _binned(relevant, before, after) if before and after else None
    values = point.values
    treatment, base = (
        values.of(system.column, quality.metric),
        values.of(system.mode, quality.metric),
    )
    if treatment is None or base is None:
        return ranks, [], []
    difference = dict(zip(values.queries, (treatment - base).tolist(), strict=True))
    wins = sorted((q for q, d in difference.items() if d > 0), key=lambda q: (-difference[q], q))
    losses = sorted((q for q, d in difference.items() if d < 0), key=lambda q: (difference[q], q))
    texts: dict[str, dict[str, Text]] = {}
    for text in stored.texts(run):  # of several relevant passages the first
        texts.setdefault(text.query_id, {}).setdefault(text.role, text)

    def change(query: str) -> Change:
        roles = texts.get(query, {})
        found = next(iter(roles.values()), None)
        shown = (roles.get("relevant"), roles.get(f"{system.mode}_reranked"))
        passages = (text.passage if text else "" for text in shown)
        return Change(
            query,
            difference[query],
            before.get(query),
            after.get(query),
            found.query if found else "",
            *passages,
        )

    return ranks, [*map(change, wins[:SHOWN])], [*map(change, losses[:SHOWN])]


def _first_ranks(
    ranking: Mapping[str, Sequence[str]], relevant: Mapping[str, set[str]]
) -> dict[str, int]:
    """Query id -> rank of the first relevant document, where there is one."""
    ranks = {}
    for query, documents in ranking.items():
        wanted = relevant.get(query, set())
        rank = next((i for i, document in enumerate(documents, start=1) if document in wanted), 0)
        if rank:
            ranks[query] = rank
    return ranks


def _binned(
    queries: Mapping[str, object], before: Mapping[str, int], after: Mapping[str, int]
) -> Ranks:
    deepest = max([*before.values(), *after.values()])
    bins = [*BINS, deepest] if deepest > BINS[-1] else BINS
    ends = [end for i, end in enumerate(bins) if i == 0 or bins[i - 1] < deepest]
    starts = [1, *(end + 1 for end in ends[:-1])]
    names = [f"{a}" if a == b else f"{a}-{b}" for a, b in zip(starts, ends, strict=True)]

    def count(ranks: Mapping[str, int]) -> list[int]:
        found = [
            sum(a <= rank <= b for rank in ranks.values())
            for a, b in zip(starts, ends, strict=True)
        ]
        return [*found, len(queries) - sum(found)]

    return Ranks([*names, "not found"], count(before), count(after))
