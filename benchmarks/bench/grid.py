"""Run a whole grid in empty folders: a sweep, against a script per point.

The grid is that of ``make sweep`` in small: the same depths and lengths, and a fortieth of its
passages and queries. Both begin with loaded libraries. The sweep also reads its data from
docstrings, scores the dev queries, records the points in MLflow and writes a report. Latency is
measured in neither, and both run once.
"""

import csv
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from statistics import fmean

from benchmarks.bench.results import Result
from benchmarks.bench.stock import Rankings
from benchmarks.bench.stock_point import StockPoint, run_point
from pipeline import data
from pipeline.config import Config
from pipeline.evaluation.metrics import means, measure
from pipeline.infra.model_files import prepare_base
from pipeline.infra.stage_cache import StageCache
from pipeline.records import SEARCHES, Hit, QuerySet
from pipeline.sweep import run as sweep
from pipeline.sweep.grid import Grid

FOLDER = Path("outputs/bench/grid")
LINES = (
    "arch=none base=none negatives=0 epochs=0",
    "arch=colbert base=minilm_l6 negatives=0 epochs=0",
    "arch=cross_encoder,colbert base=minilm_l6 negatives=1,2 epochs=1",
)
SIZES = (
    "dataset.packages=[hydra-core,omegaconf,networkx]",
    "dataset.max_corpus=200",
    "dataset.max_train_queries=50",
    "dataset.max_dev_queries=3",
    "dataset.max_eval_queries=10",
    "eval.depth=20",
    "latency.enabled=false",
)
K = 10
NDCG = f"ndcg_at_{K}"
NEAR = 0.02  # in NDCG, of two orders by the same weights, one in half precision


def grid(target: float) -> Iterator[Result]:
    """Run the sweep, then the scripts one after another; untrained points must agree."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    lines = ",".join(repr(line) for line in LINES)
    words = [*SIZES, f"output_dir={FOLDER}/ours", f"grid=[{lines}]"]
    with (FOLDER / "log.txt").open("w") as log, redirect_stdout(log), redirect_stderr(log):
        start = time.perf_counter()
        sweep.run(words)
        ours = time.perf_counter() - start
        points = Grid(words).points
        cache = StageCache.of(points[0])
        dataset = data.load(points[0].dataset, cache)
        bases = [prepare_base(point.base, cache) for point in points]
        start = time.perf_counter()
        done = [
            run_point(point, dataset, base, FOLDER / point.run_name)
            for point, base in zip(points, bases, strict=True)
        ]
        stock = time.perf_counter() - start
    theirs = [_ndcg(found.rankings, dataset.test) for found in done]
    rows = _report(FOLDER / "ours" / "report" / "report.csv")
    scores = [_shown(rows[point.run_name]) for point in points]
    yield Result(
        f"grid of {len(points)} points, cold",
        target,
        [ours],
        [stock],
        f"mean NDCG@10 of the points {fmean(scores):.3f}, stock {fmean(theirs):.3f}",
        _same(points, scores, theirs, done, rows),
        {"grid": LINES, "overrides": SIZES, "ndcg": scores, "stock_ndcg": theirs},
    )


def _same(
    points: list[Config],
    ours: list[float],
    theirs: list[float],
    done: list[StockPoint],
    rows: Mapping[str, Mapping[str, str]],
) -> bool:
    """Whether untrained points are as good in both, and the others trained as many steps."""
    for point, one, other, found in zip(points, ours, theirs, done, strict=True):
        if point.epochs == 0 and abs(one - other) > NEAR:
            return False
        if float(rows[point.run_name]["train/steps"] or 0) != found.steps:
            return False
    return True


def _ndcg(rankings: Rankings, test: QuerySet) -> float:
    """The mean NDCG of the three searches after reranking."""
    found = []
    for search in SEARCHES:
        ranking = {
            query: [Hit(doc_id, -rank) for rank, doc_id in enumerate(rankings[search, K, query])]
            for query in test.queries
        }
        found.append(means(measure(ranking, test.qrels, K))[NDCG])
    return fmean(found)


def _report(file: Path) -> dict[str, dict[str, str]]:
    """The rows of a report by the names of their runs."""
    with file.open(encoding="utf-8", newline="") as opened:
        return {row["run"]: row for row in csv.DictReader(opened)}


def _shown(row: Mapping[str, str]) -> float:
    """The mean NDCG of the three searches after reranking, of a control that of the searches."""
    reranked = "" if row["group"] == "none" else "_reranked"
    return fmean(float(row[f"{search}{reranked}/{NDCG}"]) for search in SEARCHES)
