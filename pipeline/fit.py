"""One grid point's training: its examples, schedule, teacher, dev score, and what it cost."""

import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from pipeline import tracking, weights
from pipeline.config import DISTILLING, Config
from pipeline.evaluation import evaluate
from pipeline.hardware import Hardware, measured
from pipeline.mine import TrainingSet
from pipeline.records import TrainingExample
from pipeline.rerank import score_candidates
from pipeline.rerankers import Reranker, Scorer
from pipeline.rerankers.saved import load_saved
from pipeline.shared import Shared
from pipeline.train import Outcome, plan, train, with_teacher

log = logging.getLogger(__name__)


def fit(
    config: Config,
    shared: Shared,
    reranker: Reranker,
    machine: Hardware,
    folder: Path,
    record: tracking.ActiveRun,
) -> dict[str, float]:
    """Train ``reranker`` in place; returns the metrics ``train/...`` of what it took.

    What the guards noticed becomes the tag ``warnings``, and the tag ``best`` says whether the
    trained weights or those it started from were better on the dev queries.
    """
    assert shared.negatives is not None
    rows = TrainingSet(shared.negatives, shared.dataset, config.negatives)
    schedule = plan(
        config.arch.loss, len(rows), rows.queries, config.negatives, config.epochs, config.train
    )
    log.info("train: %d pairs in %d steps", schedule.pairs, schedule.steps)
    teacher = _teacher(config, machine) if config.arch.loss in DISTILLING else None

    def examples() -> Iterable[TrainingExample]:
        return with_teacher(rows.examples(), teacher) if teacher else rows.examples()

    with measured(machine.device) as cost:
        outcome = train(
            reranker,
            examples,
            schedule,
            config.train,
            machine,
            config.seed,
            folder / "training",
            (lambda: dev_score(config, shared, reranker)) if shared.dataset.dev.queries else None,
            lambda step, metrics: record.log_metrics(metrics, step),
            better_than_start=config.base.dedicated,
        )
    record.log_tags(_tags(outcome))
    dev = {"train/dev_before": outcome.dev_before, "train/dev_after": outcome.dev_after}
    return {
        "train/steps": schedule.steps,
        "train/pairs_seen": schedule.pairs,
        "train/pairs_per_s": schedule.pairs / cost.seconds,
        "train/seconds": cost.seconds,
        "train/peak_mib": cost.peak_mib,
        **{name: score for name, score in dev.items() if score is not None},
    }


def dev_score(config: Config, shared: Shared, reranker: Reranker) -> float:
    """NDCG of the dev queries at the largest cutoff, over hybrid candidates."""
    dev = shared.dataset.dev
    depth, k = config.eval.dev_depth, max(config.eval.top_k)
    listed = {q: shared.candidates["hybrid"][q][:depth] for q in dev.queries}
    scores = score_candidates(reranker, dev.queries, shared.dataset.corpus, {"hybrid": listed})
    one = replace(config.eval, top_k=[k], depth=max(depth, k))
    result = evaluate({"hybrid": listed}, dev.qrels, one, scores, {"hybrid": 1.0})
    return result.metrics()[f"hybrid_reranked/ndcg_at_{k}"]


def _teacher(config: Config, machine: Hardware) -> Scorer:
    """The reranker that ``train.teacher`` names, reading as much as it was trained to."""
    assert config.train.teacher is not None
    runs = weights.Runs(config.tracking, Path(config.output_dir) / "cache")
    folder = weights.locate("train.teacher", config.train.teacher, runs)
    key = f"train.teacher={config.train.teacher}"
    return load_saved(key, folder, machine, config.eval.batch_size)


def _tags(outcome: Outcome) -> dict[str, str]:
    tags = {"best": outcome.kept, "train.batch_in_memory": str(outcome.batch_size)}
    return tags | ({"warnings": "; ".join(outcome.warnings)} if outcome.warnings else {})
