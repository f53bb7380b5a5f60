"""Section "Where the gain comes from": queries won and lost, and how the relevant passage moved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from markupsafe import Markup

from pipeline.report.blocks import Change, Changes, Figure, Section, Table
from pipeline.report.comparison import Comparison
from pipeline.report.format import SEARCH_NAMES
from pipeline.report.plotting import HEIGHT, PALETTE, to_html
from pipeline.report.study import Stored, Study
from pipeline.report.systems import System, describe
from pipeline.report.uncertainty import COLUMNS, order_of
from pipeline.tracking.artifacts import Text

SHOWN = 10  # wins, and losses
BINS = (1, 3, 5, 10, 20, 50, 100)  # last rank of each bar; one more where ranks go deeper


@dataclass(frozen=True)
class Tally:
    """Queries on which a point is better, worse and the same as its search alone."""

    won: int
    lost: int
    tied: int


@dataclass(frozen=True)
class Ranks:
    """How many queries have their first relevant passage in each bin of ranks."""

    bins: list[str]
    before: list[int]
    after: list[int]


def section(study: Study) -> Section | None:
    """Count the wins and losses of every point; show ranks and examples of the best."""
    title = "Where the gain comes from"
    comparison, best = study.comparison, study.verdict.best
    if not comparison.qualities:
        return None
    measure = comparison.qualities[0].name
    tallies = _tallies_table(comparison)
    if not tallies.rows or best is None:
        return Section(title, ["No per-query values are stored, so this can't be said."])
    texts = [f"Ranks and examples are those of the best: {describe(comparison, best)}."]
    runs = comparison.points[best.point].runs
    if len(runs) > 1:
        seed = runs[0].params.get("seed", "?")
        texts.append(f"Ranks and texts are of seed {seed}, differences means over the seeds.")
    ranks, wins, losses = changes(comparison, best, study.stored)
    if ranks is None:
        texts.append("Its run files are not stored, so there are no ranks.")
    if not wins + losses:
        texts.append(f"It changed no query's {measure}.")
    elif not any(change.query for change in wins + losses):
        texts.append("It stored no texts, so queries are shown by their ids.")
    figures = [_ranks_figure(ranks, f"{study.identifier}-ranks")] if ranks else []
    examples = [Changes("Biggest wins", wins), Changes("Biggest losses", losses)]
    shown = [example for example in examples if example.changes]
    return Section(title, [*texts, *figures, tallies, *shown])


def tallies(comparison: Comparison) -> list[dict[str, Tally]]:
    """Return column -> wins, losses and ties of every point, on the first quality's measure."""
    metric = comparison.qualities[0].metric
    rows: list[dict[str, Tally]] = []
    for point in comparison.points:
        rows.append({})
        for column, search in COLUMNS.items():
            after, before = point.values.of(column, metric), point.values.of(search, metric)
            if after is not None and before is not None:
                won, lost = int(np.sum(after > before)), int(np.sum(after < before))
                rows[-1][column] = Tally(won, lost, len(after) - won - lost)
    return rows


def changes(
    comparison: Comparison, system: System, stored: Stored
) -> tuple[Ranks | None, list[Change], list[Change]]:
    """Return ranks before and after, the biggest wins and the biggest losses of a system.

    Of several seeds the first one's rankings and texts are shown. Where the run files are missing
    there are no ranks, and the changes have none either.
    """
    quality = comparison.qualities[0]
    point = comparison.points[system.point]
    run = point.runs[0]
    relevant = stored.relevant(run)
    before = _first_ranks(stored.ranking(run, system.search, quality.cutoff), relevant)
    after = _first_ranks(stored.ranking(run, system.column, quality.cutoff), relevant)
    ranks = _binned(len(relevant), before, after) if before and after else None
    treatment = point.values.of(system.column, quality.metric)
    base = point.values.of(system.search, quality.metric)
    if treatment is None or base is None:
        return ranks, [], []
    texts: dict[str, dict[str, Text]] = {}
    for text in stored.texts(run):  # of several relevant passages the first
        texts.setdefault(text.query_id, {}).setdefault(text.role, text)

    def change(query_id: str, difference: float) -> Change:
        roles = texts.get(query_id, {})
        passages = {role: text.passage for role, text in roles.items()}
        return Change(
            query_id=query_id,
            difference=difference,
            before=before.get(query_id),
            after=after.get(query_id),
            query=next((text.query for text in roles.values()), ""),
            relevant=passages.get("relevant", ""),
            first=passages.get(f"{system.search}_reranked", ""),
        )

    differences = dict(zip(point.values.queries, (treatment - base).tolist(), strict=True))
    largest_first = sorted(differences.items(), key=lambda item: (-abs(item[1]), item[0]))
    wins = [change(*item) for item in largest_first if item[1] > 0]
    losses = [change(*item) for item in largest_first if item[1] < 0]
    return ranks, wins[:SHOWN], losses[:SHOWN]


def _first_ranks(
    ranking: Mapping[str, Sequence[str]], relevant: Mapping[str, set[str]]
) -> dict[str, int]:
    """Query id -> rank of the first relevant document, where there is one."""
    ranks = {}
    for query, documents in ranking.items():
        for rank, document in enumerate(documents, start=1):
            if document in relevant.get(query, ()):
                ranks[query] = rank
                break
    return ranks


def _binned(queries: int, before: Mapping[str, int], after: Mapping[str, int]) -> Ranks:
    """Count the queries per bin; the last bin is of those whose passage was not found."""
    deepest = max(*before.values(), *after.values())
    ends = [end for end, previous in zip(BINS, (0, *BINS), strict=False) if previous < deepest]
    if deepest > ends[-1]:
        ends.append(deepest)
    starts = [1, *(end + 1 for end in ends[:-1])]
    names = [f"{a}" if a == b else f"{a}-{b}" for a, b in zip(starts, ends, strict=True)]

    def count(ranks: Mapping[str, int]) -> list[int]:
        counts, _ = np.histogram(list(ranks.values()), [*starts, ends[-1] + 1])
        return [*counts.tolist(), queries - len(ranks)]

    return Ranks([*names, "not found"], count(before), count(after))


def _tallies_table(comparison: Comparison) -> Table:
    rows = [
        [label, *(f"{t.won} / {t.lost} / {t.tied}" for t in tally.values())]
        for label, tally in zip(comparison.labels, tallies(comparison), strict=True)
        if len(tally) == len(COLUMNS)
    ]
    columns = [f"{SEARCH_NAMES[search]} {order_of(column)}" for column, search in COLUMNS.items()]
    measure = comparison.qualities[0].name
    caption = f"Queries won / lost / tied against the search alone, by {measure}"
    return Table(caption, ["run", *columns], rows)


def _ranks_figure(ranks: Ranks, identifier: str) -> Figure:
    counts = zip(ranks.bins, ranks.before, ranks.after, strict=True)
    table = Table(
        "Queries by the rank of their first relevant passage, as figures",
        ["rank", "search alone", "reranked"],
        [[name, f"{before:,}", f"{after:,}"] for name, before, after in counts],
    )
    first = f"{ranks.before[0]:,} queries before reranking and {ranks.after[0]:,} after"
    text = f"Rank of the relevant passage; at rank 1 in {first}"
    return Figure(_plot(ranks, identifier), text, table)


def _plot(ranks: Ranks, identifier: str) -> Markup:
    """Draw the queries by the rank of their relevant passage, before and after reranking."""
    figure = go.Figure()
    bars = (("search alone", ranks.before, "#8c8c8c"), ("reranked", ranks.after, PALETTE[0]))
    for name, counts, colour in bars:
        bar = go.Bar(
            x=ranks.bins,
            y=counts,
            name=name,
            marker_color=colour,
            text=counts,
            textposition="outside",
            cliponaxis=False,
        )
        figure.add_trace(bar)
    figure.update_xaxes(title="rank of the relevant passage", type="category")
    figure.update_yaxes(title="queries")
    return to_html(figure, identifier, HEIGHT + 40, series=2)
