"""Measure time and memory of ``make report`` on a store of 200 runs x 2,000 queries.

    python benchmarks/report_scale.py [FOLDER]

Makes the store in FOLDER (default: a temporary one; an existing store is used again) and writes
the report in a process of its own. The report should take less than 60 seconds and 2 GB.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
from tqdm import tqdm

from pipeline.config.stages import TrackingConfig
from pipeline.evaluation.metrics import means
from pipeline.records import SEARCHES
from pipeline.tracking import artifacts, writer

QUERIES = [f"query-{i:05}" for i in range(2_000)]
ARCHES, BASES = ("cross_encoder", "colbert"), ("minilm", "modernbert", "answerai", "tiny", "large")
GRID = [*product(ARCHES, BASES, range(1, 6), range(1, 5))]  # 200 points
CUTOFFS = (5, 10)


def make(config: TrackingConfig) -> None:
    """Record a sweep of the grid with values that only look like results."""
    rng = np.random.default_rng(0)
    rank = {
        search: rng.geometric(0.15, len(QUERIES)) for search in SEARCHES
    }  # of the relevant passage
    with writer.run(config, "sweep", {"kind": "sweep"}) as parent:
        child = replace(config, parent_run_id=parent.run_id)
        for arch, base, negatives, epochs in tqdm(GRID, unit="run"):
            columns = {}
            for search in SEARCHES:
                for column in (search, f"{search}_reranked", f"{search}_fused"):
                    moved = rank[search] if column == search else _moved(rng, rank[search])
                    columns[column] = _per_query(moved)
            metrics = {f"{c}/{m}": v for c, p in columns.items() for m, v in means(p).items()}
            for search, limit in product(SEARCHES, (20, 50, 100)):
                for statistic, factor in {"p50": 1.0, "p95": 1.6}.items():
                    name = f"latency/{search}_{limit}/total_{statistic}_ms"
                    metrics[name] = factor * limit * rng.uniform(1, 5)
            metrics |= {"train/seconds": 100.0 * epochs, "train/steps": 100.0 * epochs}
            params = {"negatives": negatives, "epochs": epochs, "arch.name": arch}
            params |= {"base.name": base, "data.fingerprint": "0" * 64, "machine.device": "cpu"}
            tags = {"arch": arch, "base": base, "initialisation": "scratch", "kind": "point"}
            name = f"{arch}_{base}_{negatives}neg_{epochs}ep"
            with writer.run(child, name, tags | {"dataset": "scale"}) as run:
                run.log_params(params)
                run.log_metrics(metrics)
                artifacts.log_per_query(run, columns)


def _moved(rng: np.random.Generator, rank: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    return np.maximum(1, rank + rng.integers(-3, 3, len(rank)))


def _per_query(rank: np.ndarray) -> dict[str, dict[str, float]]:  # type: ignore[type-arg]
    values = {}
    for k in CUTOFFS:
        found = rank <= k
        columns = {
            "ndcg": found / np.log2(rank + 1),
            "hit_rate": found * 1.0,
            "mrr": found / rank,
            "recall": found * 1.0,
        }
        for name, column in columns.items():
            values[f"{name}_at_{k}"] = dict(zip(QUERIES, column.tolist(), strict=True))
    return values


def main() -> None:
    """Make the store if it is not there, then time the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="keeps the store for the next time")
    given = parser.parse_args().folder
    with tempfile.TemporaryDirectory() as temporary:
        folder = given or Path(temporary)
        uri = f"sqlite:///{folder.resolve()}/mlflow.db"
        if not (folder / "mlflow.db").exists():
            make(TrackingConfig(uri=uri, experiment="scale"))
        words = [f"tracking.uri={uri}", "tracking.experiment=scale", f"output_dir={folder}"]
        start = time.perf_counter()
        command = [sys.executable, "-m", "pipeline", "report", *words]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2
        size = (folder / "report" / "report.html").stat().st_size / 1e6
    print(
        f"{len(GRID)} runs x {len(QUERIES):,} queries: {seconds:.1f} s, peak {peak:.2f} GiB, ",
        end="",
    )
    print(f"report.html {size:.1f} MB")


if __name__ == "__main__":
    main()
