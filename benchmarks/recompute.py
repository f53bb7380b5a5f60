"""Recompute every figure of quality in a report from what the runs have exported, and compare.

    python benchmarks/recompute.py outputs/report outputs/artifacts

The first folder has report.csv and report.md. The second has the artifacts of every run as
RUN_ID/artifacts, where MLflow keeps them beside its SQLite database; from a server they come with
``mlflow artifacts download --run-id RUN_ID --dst-path FOLDER/RUN_ID/artifacts``. Only the TREC
files below ``runs`` and the table per_query.json are read.

Nothing of this project is imported: ir-measures measures, numpy draws. Means must agree to 1e-9,
p-values and intervals too, as the draws are those that docs/method.md describes. Latency and cost
can't be recomputed. Exit code 1 if a figure differs.
"""

import csv
import json
import re
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import ir_measures
import numpy as np

SEARCHES = ("vector", "fts", "hybrid")
COLUMNS = {f"{s}_{order}": s for s in SEARCHES for order in ("reranked", "fused")}
MEASURES = {
    "ndcg": ir_measures.nDCG,
    "hit_rate": ir_measures.Success,
    "mrr": ir_measures.RR,
    "recall": ir_measures.R,
}
METRIC = re.compile(rf"(?:{'|'.join(SEARCHES)})(?:_\w+)?/(?:{'|'.join(MEASURES)})_at_\d+")
DRAWS, SWAPS = 10_000, 20_000


class Run:
    """The exported files of one run; ``values`` are per query, in the order of the query ids."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.qrels = defaultdict(dict)
        for judged in ir_measures.read_trec_qrels(str(folder / "runs" / "qrels.txt")):
            self.qrels[judged.query_id][judged.doc_id] = judged.relevance
        self.queries = sorted(self.qrels, key=unquote)

    def values(self, column: str, metric: str) -> np.ndarray | None:
        """Measure the column at the metric's cutoff; None if the run has no such ranking."""
        measure, cutoff = metric.rsplit("_at_", 1)
        search, _, order = column.partition("_")
        name = f"{search if order == 'ideal' else column}_at_{cutoff}"
        file = self.folder / "runs" / f"{column if order == 'candidates' else name}.run"
        if not file.exists():
            return None
        ranked = list(ir_measures.read_trec_run(str(file)))
        if order == "ideal":  # the best grades first
            grades = [self.qrels[hit.query_id].get(hit.doc_id, 0) for hit in ranked]
            ranked = [h._replace(score=h.score + g) for h, g in zip(ranked, grades, strict=True)]
        measured = ir_measures.iter_calc([MEASURES[measure] @ int(cutoff)], self.qrels, ranked)
        found = {result.query_id: result.value for result in measured}
        return np.array([found.get(query, 0.0) for query in self.queries])


class Point:
    """The runs of one row of report.csv; values are means over its runs, query by query."""

    def __init__(self, row: dict[str, str], artifacts: Path) -> None:
        self.row = row
        self.runs = [Run(artifacts / run / "artifacts") for run in row["run_id"].split()]
        self.values = cache(self._values)

    def _values(self, column: str, metric: str) -> np.ndarray | None:
        """Return the mean values per query; None if a run lacks them."""
        found = [run.values(column, metric) for run in self.runs]
        return None if any(values is None for values in found) else np.mean(found, axis=0)

    def shown(self, column: str, metric: str) -> np.ndarray | None:
        """Return what a table shows: in the row of a control the search alone."""
        return self.values(COLUMNS[column] if self.row["group"] == "none" else column, metric)


def systems(points: list[Point], metric: str) -> list[tuple[Point, str]]:
    """Return the points with each of their columns that is reranked or fused."""
    return [(p, c) for p in points for c in COLUMNS if p.values(c, metric) is not None]


@cache
def draw_weights(queries: int) -> np.ndarray:
    """How often each query is drawn in each resample of the bootstrap."""
    picks = np.random.default_rng(0).integers(0, queries, (DRAWS, queries))
    return np.stack([np.bincount(pick, minlength=queries) for pick in picks]) / queries


def max_t(differences: np.ndarray) -> np.ndarray:
    """Westfall and Young's step-down max-T over the columns."""
    scale = np.sqrt((differences**2).sum(axis=0))
    scaled = differences / np.where(scale > 0, scale, 1)
    order = np.argsort(-np.abs(scaled.sum(axis=0)), kind="stable")
    scaled = scaled[:, order]
    differing = scaled[(scaled != 0).any(axis=1)]
    if len(differing) <= np.log2(SWAPS):  # every pattern of signs
        bits = np.arange(2 ** len(differing))[:, None] >> np.arange(len(differing)) & 1
        sums, extra = np.abs((2 * bits - 1) @ differing), 0
    else:
        shape = SWAPS, -(-len(scaled) // 64)
        random = np.random.default_rng(0).integers(0, 2**64, shape, dtype=np.uint64)
        bits = np.unpackbits(random.view(np.uint8), axis=1, count=len(scaled))
        sums, extra = np.abs((2.0 * bits - 1) @ scaled), 1
    largest = np.maximum.accumulate(sums[:, ::-1], axis=1)[:, ::-1]
    reached = np.abs(scaled.sum(axis=0)) - 1e-6 * np.abs(scaled).sum(axis=0)
    p_values = np.empty(len(order))
    counts = (largest >= reached).sum(axis=0) + extra
    p_values[order] = np.maximum.accumulate(counts / (len(sums) + extra))
    return p_values


def at_once(estimates: np.ndarray, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Intervals that hold for all columns at once."""
    usable = np.isfinite(drawn).all(axis=0) & np.isfinite(estimates)
    width = np.where(usable, np.where(usable, drawn, 0).std(axis=0), np.nan)
    moving = width > 0
    deviations = np.abs(drawn[:, moving] - estimates[moving]) / width[moving]
    largest = deviations.max(axis=1) if moving.any() else np.zeros(len(drawn))
    half = np.percentile(largest, 95) * width
    return estimates - half, estimates + half


def gains(
    places: list[tuple[Point, str]], metric: str, base: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """The relative gains over ``base``, by default each one's own search, by name in the CSV."""
    values = np.column_stack([p.values(c, metric) for p, c in places])
    own = np.column_stack([p.values(COLUMNS[c], metric) for p, c in places])
    base = own if base is None else np.broadcast_to(base[:, None], values.shape)
    differences, weights = values - base, draw_weights(len(values))
    drawn = (weights @ differences) / (weights @ base)
    estimates = differences.mean(axis=0) / base.mean(axis=0)
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):  # ratios are even on the log scale
        ends = np.expm1(at_once(np.log1p(estimates), np.log1p(drawn)))
    chosen = dict(zip(("chosen low", "chosen high"), ends, strict=True))
    return {"gain": estimates, "low": low, "high": high, "p": max_t(differences)} | chosen


class Check:
    """Compare figures, and count them."""

    agreed, differing = 0, 0

    def figure(self, same: bool, message: str) -> None:
        """Count a figure, and say what is wrong with it."""
        self.agreed, self.differing = self.agreed + same, self.differing + (not same)
        if not same:
            print(message)

    def same(self, where: str, printed: str, ours: float) -> None:
        """Check a figure of a table, unless it is empty there."""
        if printed:
            same = abs(float(printed) - ours) < 1e-9
            self.figure(same, f"{where}: {printed} in the report, {ours!r} from the files")

    def cell(self, point: Point, name: str, ours: float) -> None:
        """Check a figure of report.csv."""
        self.same(f"{point.row['run']}: {name}", point.row[name], ours)


def check_table(points: list[Point], metric: str, check: Check) -> None:
    """Check one measure at one cutoff of the points that are one table."""
    if places := systems(points, metric):
        for name, figures in gains(places, metric).items():
            for (point, column), ours in zip(places, figures, strict=True):
                check.cell(point, f"{name} {column}/{metric}", ours)
    for column in COLUMNS:
        shown = [p for p in points if p.shown(column, metric) is not None]
        if len(shown) < 2:
            continue
        best = max(shown, key=lambda point: point.shown(column, metric).mean())
        others = [point for point in shown if point is not best]
        reference = best.shown(column, metric)
        differences = np.column_stack([p.shown(column, metric) - reference for p in others])
        ends = at_once(differences.mean(axis=0), draw_weights(len(differences)) @ differences)
        for end, figures in zip(("low", "high"), ends, strict=True):
            for point, ours in zip(others, figures, strict=True):
                check.cell(point, f"to best {end} {column}/{metric}", ours)


def check_verdict(points: list[Point], metric: str, text: str, check: Check) -> None:
    """Check the best system's gain over the best search alone, as the verdict prints it."""
    if not (found := systems(points, metric)):
        return
    best = max(found, key=lambda system: system[0].values(system[1], metric).mean())
    alone = {search: points[0].values(search, metric) for search in SEARCHES}
    base = max(alone.values(), key=np.mean)
    # Of one search the table's own test counts, else one of all systems against that search.
    tested = gains(found, metric, None if alone[COLUMNS[best[1]]] is base else base)
    names = ("gain", "chosen low", "chosen high", "p")
    share, low, high, p = (tested[name][found.index(best)] for name in names)
    shown = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
    sentence = f"{share:+.1%} ({low:+.1%} to {high:+.1%}, {shown})"
    check.figure(sentence in text, f"report.md lacks {sentence!r}")
    for point in points:  # wins and losses by query
        cells = []
        for _, column in systems([point], metric):
            signs = np.sign(point.values(column, metric) - point.values(COLUMNS[column], metric))
            cells.append(" / ".join(str(np.count_nonzero(signs == sign)) for sign in (1, -1, 0)))
        if len(cells) == len(COLUMNS):
            row = " | ".join(cells)
            check.figure(row in text, f"report.md lacks the wins and losses {row!r}")


def check_query_table(run: Run, check: Check) -> None:
    """Check the table of queries that the UI shows, which has four decimals."""
    table = json.loads((run.folder / "per_query.json").read_text(encoding="utf-8"))
    rows = {row[table["columns"].index("query_id")]: row for row in table["data"]}
    for i, name in [(i, n) for i, n in enumerate(table["columns"]) if METRIC.fullmatch(n)]:
        for query, ours in zip(run.queries, run.values(*name.split("/")), strict=True):
            printed = str(rows[unquote(query)][i]) if unquote(query) in rows else ""
            check.same(f"{run.folder}: {name} of {query}", printed, round(ours, 4))


def main(report: Path, artifacts: Path) -> int:
    """Check a report; return the exit code."""
    text = (report / "report.md").read_text(encoding="utf-8")
    with (report / "report.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["status"] == "FINISHED"]
    tables: dict[str, list[Point]] = {}
    for row in rows:
        tables.setdefault(row["table"], []).append(Point(row, artifacts))
    check = Check()
    for points in tables.values():
        names = [name for name in rows[0] if METRIC.fullmatch(name)]
        for point in points:
            for name in filter(point.row.get, names):
                if (values := point.values(*name.split("/"))) is not None:
                    check.cell(point, name, values.mean())
            for run in point.runs:
                check_query_table(run, check)
        compared = {name.split("/")[1] for name in names if name.startswith("vector/")}
        for metric in sorted(m for m in compared if m.startswith(("ndcg", "hit_rate"))):
            check_table(points, metric, check)
        cutoff = max(int(metric.rsplit("_", 1)[1]) for metric in compared)
        check_verdict(points, f"ndcg_at_{cutoff}", text, check)
    print(f"{check.agreed:,} figures agree, {check.differing:,} differ")
    return 1 if check.differing or not check.agreed else 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])) if len(sys.argv) == 3 else __doc__)
