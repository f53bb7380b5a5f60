"""Recorded runs whose comparison can be checked by hand, for tests."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.config.stages import TrackingConfig
from pipeline.evaluation.metrics import write_run
from pipeline.records import Hit
from pipeline.tracking import artifacts, writer
from pipeline.tracking.artifacts import Text

QUERIES = [f"q{i}" for i in range(8)]
LOW = dict.fromkeys(QUERIES, 0.25)
HIGH = LOW | dict.fromkeys(QUERIES[:6], 1.0) | {"q7": 0.0}  # 6 better, 1 equal, 1 worse
SCRIPT = "<script>alert('x')</script>"


def record_runs(config: TrackingConfig, folder: Path) -> TrackingConfig:
    """Record the runs low, high, elsewhere (on other data) and control (the search alone)."""
    _record(config, folder, "low", LOW, {"epochs": "1"})
    _record(config, folder, "high", HIGH, {"epochs": "2", "run_name": "high"})
    _record(config, folder, "elsewhere", HIGH, {"data.fingerprint": "b" * 64})
    _record(config, folder, "control", LOW, {"arch.name": "none"}, group="none")
    return config


def _record(
    config: TrackingConfig,
    folder: Path,
    name: str,
    values: Mapping[str, float],
    params: Mapping[str, str],
    group: str = "scratch",
) -> None:
    stage = "vector" if group == "none" else "vector_reranked"
    own = f"first of {name}"
    ranking = [Hit(own, 3.0), Hit("other", 2.0), Hit("answer", 1.0)]
    file = folder / f"{stage}_at_10.run"
    write_run(file, dict.fromkeys(QUERIES, ranking), "tag")
    tags = {"kind": "point", "dataset": "d", "initialisation": group}
    with writer.run(config, name, tags) as run:
        run.log_params({"data.fingerprint": "a" * 64, **params})
        mean = sum(values.values()) / len(values)
        metrics = {"vector/ndcg_at_10": 0.2, f"{stage}/ndcg_at_10": mean}
        run.log_metrics(metrics | {"train/seconds": 10.0 if name == "low" else 25.0})
        artifacts.log_per_query(run, {stage: {"ndcg_at_10": dict(values)}})
        passages = {"relevant": ("answer", "the answer"), stage: (own, f"{name} {SCRIPT}")}
        artifacts.log_texts(
            run,
            [Text("q0", f"why {SCRIPT}", role, *passage) for role, passage in passages.items()],
        )
        run.log_file(file, "runs")
