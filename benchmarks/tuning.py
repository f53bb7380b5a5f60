"""Show what settings gave on another split than the one that results are reported on.

    python -m pipeline sweep dataset.seed=7 output_dir=tuning "grid=[...]"
    python benchmarks/tuning.py tuning

Another ``dataset.seed`` draws other training, dev and evaluation queries. The few evaluation
queries that the default split tests on are left out, so no choice is made by a reported query.
Prints one line per finished run: NDCG@10 of each search alone, reranked and fused.
"""

import sys
from pathlib import Path
from statistics import fmean

from mlflow import MlflowClient

from pipeline import data
from pipeline.config.compose import compose
from pipeline.config.stages import TrackingConfig
from pipeline.infra.stage_cache import StageCache
from pipeline.records import SEARCHES
from pipeline.report.format import duration
from pipeline.tracking import artifacts, reader

COLUMNS = [f"{search}{order}" for search in SEARCHES for order in ("", "_reranked", "_fused")]
SHOWN = (
    "train.queries",
    "negatives",
    "epochs",
    "arch.loss",
    "train.learning_rate",
    "train.head_learning_rate",
    "train.dropout",
    "arch.training_max_length",
    "arch.training_document_length",
    "train.batch_size",
    "train.teacher_temperature",
    "eval.depth",
    "mining.first_rank",
    "mining.relative_margin",
)
"""Settings that a row shows if they differ among the runs of its architecture."""


def main(output: Path) -> None:
    """Print the table of the runs in ``output``."""
    reported = data.load(compose([]).dataset, StageCache(output / "cache")).test.queries
    uri = f"sqlite:///{output / 'mlflow.db'}"
    names = [found.name for found in MlflowClient(uri).search_experiments()]
    runs = [
        (TrackingConfig(uri=uri, experiment=name), run)
        for name in names
        for run in reader.read_finished(TrackingConfig(uri=uri, experiment=name))
    ]
    print("| run | settings |", " | ".join(COLUMNS), "| training | queries |")
    print("| --- | --- |", " | ".join(["---:"] * len(COLUMNS)), "| ---: | ---: |")
    for tracking, run in runs:
        same = [other.params for _, other in runs if other.tags["arch"] == run.tags["arch"]]
        differing = [key for key in SHOWN if len({params.get(key) for params in same}) > 1]
        settings = ", ".join(f"{key}={run.params.get(key)}" for key in differing)
        values = artifacts.read_per_query(tracking, run.run_id)
        cells, count = [], 0
        for column in COLUMNS:
            by_query = values.get(column, {}).get("ndcg_at_10", {})
            kept = [value for query, value in by_query.items() if query not in reported]
            cells.append(f"{fmean(kept):.3f}" if kept else "-")
            count = max(count, len(kept))
        took = duration(run.metrics.get("train/seconds"))
        print(f"| {run.name} | {settings} |", " | ".join(cells), f"| {took} | {count} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
