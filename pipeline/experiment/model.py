"""Train the model of one grid point, or find it in the stage cache."""

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from pipeline.config import Config
from pipeline.config.saved_models import MODEL
from pipeline.config.training import TrainConfig
from pipeline.experiment.dev_score import dev_score, name_by_cutoff
from pipeline.experiment.resources import load
from pipeline.experiment.start import Start
from pipeline.experiment.teacher import Teacher, find_teacher, teacher_scores
from pipeline.infra import distributed
from pipeline.infra.code_version import code_version
from pipeline.infra.distributed import Leader
from pipeline.infra.hardware import measured
from pipeline.infra.model_files import content_hash
from pipeline.infra.stage_cache import content_key
from pipeline.protocols import OnLog, Reranker
from pipeline.records import START_KEPT, TrainingExample
from pipeline.tracking import writer
from pipeline.training.guards import check_gains
from pipeline.training.schedule import Schedule, plan
from pipeline.training.teacher import with_teacher
from pipeline.training.train import Outcome, train

log = logging.getLogger(__name__)

TRAINING = "training.json"  # beside the folder MODEL in that of the stage output
Curve = list[tuple[int, Mapping[str, float]]]
"""(optimiser step, metrics) of every log entry."""


@dataclass(frozen=True)
class Training:
    """What is known of a training beside the weights."""

    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    curve: Curve


def train_cached(
    start: Start, run: writer.ActiveRun, leader: Leader
) -> tuple[Path, dict[str, float]]:
    """The folder of the trained model, and the metrics ``train/...`` of what it took.

    Trained from the base unless the cache has it; an interrupted attempt is resumed from its last
    checkpoint. The loss curve is logged to ``run``. Warnings about the training become the tag
    ``warnings``, and the tag ``best`` says whether the trained weights or those it started from
    were better on the dev queries.
    """
    teacher = find_teacher(start)
    determined_by = inputs(start, teacher)
    checkpoints = start.cache.unfinished("model", determined_by)
    curve: Curve = []
    _warn_if_fewer(start.config, start.training_set.queries)

    def on_log(step: int, metrics: Mapping[str, float]) -> None:
        named = name_by_cutoff(metrics, max(start.config.eval.top_k))
        curve.append((step, named))
        run.log_metrics(named, step)

    def build(folder: Path) -> None:
        if teacher is not None:
            teacher_scores(start, teacher)  # The other processes find them.
        with leader.training():
            reranker, metrics, tags = _train(start, teacher, checkpoints, on_log, curve.clear)
        reranker.save(folder / MODEL)
        (folder / TRAINING).write_text(json.dumps(asdict(Training(metrics, tags, curve))))

    folder = start.cache.get("model", determined_by, build)
    training = Training(**json.loads((folder / TRAINING).read_text()))
    if not curve:  # Nothing was trained here.
        log.info("train: done before, %d steps", training.metrics["train/steps"])
        for step, metrics in training.curve:
            run.log_metrics(metrics, step)
    run.log_tags(training.tags)
    return folder / MODEL, dict(training.metrics)


def _warn_if_fewer(config: Config, queries: int) -> None:
    """Log a warning if there are fewer training queries than ``train.queries``."""
    asked, limit = config.train.queries, config.dataset.max_train_queries
    if asked is None or queries >= asked:
        return
    limited = limit is not None and limit < asked
    log.warning(
        "train.queries=%d: there are only %d training queries with negatives, so all of them "
        "are used%s",
        asked,
        queries,
        f"; dataset.max_train_queries={limit} leaves out the others" if limited else "",
    )


def assist(start: Start) -> None:
    """Take part in the training that rank 0 has begun in ``train_cached``."""
    teacher = find_teacher(start)
    _train(start, teacher, start.cache.unfinished("model", inputs(start, teacher)))


def find_trained(start: Start) -> tuple[str, Path | None]:
    """The key of the trained model, and its folder; None if it is not trained yet."""
    determined_by = inputs(start, find_teacher(start))
    found = start.cache.find("model", determined_by)
    return content_key(determined_by), found / MODEL if found else None


def inputs(start: Start, teacher: Teacher | None) -> dict[str, object]:
    """What determines the trained weights, for the key of the stage output."""
    config, shared = start.config, start.shared
    assert shared.negatives is not None
    settings = asdict(settings_of(config))
    del settings["checkpoint_minutes"]
    del settings["teacher"], settings["teacher_fusion"]  # the scores stand for them
    if start.training_set.complete:  # More than all is the same as all.
        settings["queries"] = None
    found: dict[str, object] = {
        "base": content_hash(start.base),
        "dedicated": config.base.dedicated,
        "arch": asdict(config.arch),
        "train": settings,
        "dataset": shared.dataset.fingerprint,
        "mined": shared.negatives.name,
        "negatives": config.negatives,
        "epochs": None if config.train.max_steps else config.epochs,  # which decides the steps
        "seed": config.seed,
        "machine": asdict(start.machine),
        "processes": distributed.world_size(),
        "code": code_version("model"),
    }
    if config.train.eval_every is not None or config.base.dedicated:  # The dev score decides.
        found["dev"] = {
            "index": shared.index_key,
            "search_depth": config.search_depth,
            "rrf_k": config.eval.rrf_k,
            "depth": min(config.eval.dev_depth, config.eval.candidates),
            "cutoff": max(config.eval.top_k),
            "batch_size": config.eval.batch_size,
            "rerank": asdict(config.rerank.in_training()),
            "code": code_version("candidates", "dev score"),
        }
    if teacher is not None:
        found["teacher"] = content_key(teacher.inputs)
    return found


def _train(
    start: Start,
    teacher: Teacher | None,
    checkpoints: Path,
    on_log: OnLog = lambda step, metrics: None,
    on_restart: Callable[[], None] = lambda: None,
) -> tuple[Reranker, dict[str, float], dict[str, str]]:
    """Train; returns the reranker with the metrics and tags of its training.

    ``checkpoints`` is the folder that an interrupted training is resumed from.
    ``on_restart`` is called if what was logged is void, as the training starts anew.
    """
    config, rows = start.config, start.training_set
    reranker = load(config, start.base, start.machine, trained=False)
    assert reranker is not None
    check_gains(config.arch.loss, rows.largest_gain)
    planned = schedule(start)
    scored = None if teacher is None else teacher_scores(start, teacher)
    log.info("train: %d pairs in %d steps", planned.pairs, planned.steps)

    def examples() -> Iterable[TrainingExample]:
        if scored is None:
            return rows.examples()
        return with_teacher(rows.examples(), scored, config.train.teacher_temperature)

    score = partial(dev_score, config, start.shared, reranker)
    with measured(start.machine.device) as usage:
        outcome = train(
            reranker,
            examples,
            planned,
            settings_of(config),
            hardware=start.machine,
            seed=config.seed,
            folder=checkpoints,
            on_log=on_log,
            dev_score=score if start.shared.dataset.dev.queries else None,
            on_restart=on_restart,
            better_than_start=config.base.dedicated,
        )
    effort = outcome.effort
    seconds = effort.spent + usage.seconds
    dev = {"train/dev_before": outcome.dev_before, "train/dev_after": outcome.dev_after}
    metrics = {
        "train/queries": rows.queries,
        "train/steps": effort.steps,
        "train/pairs_seen": effort.pairs,
        "train/pairs_per_s": effort.pairs / seconds,
        "train/seconds": seconds,
        "train/peak_mib": usage.peak_mib,
        **{name: score for name, score in dev.items() if score is not None},
    }
    return reranker, metrics, _tags(outcome)


def settings_of(config: Config) -> TrainConfig:
    """The settings of the trainer; a dedicated base has no new layers that need another rate."""
    if config.base.dedicated:
        return replace(config.train, head_learning_rate=None)
    return config.train


def schedule(start: Start) -> Schedule:
    """How much the run trains."""
    config, rows = start.config, start.training_set
    return plan(
        config.arch.loss, len(rows), rows.queries, config.negatives, config.epochs, config.train
    )


def _tags(outcome: Outcome) -> dict[str, str]:
    tags = {"best": outcome.kept, "train.batch_in_memory": str(outcome.batch_size)}
    if outcome.kept == "start":  # What is measured is neither fine-tuned nor trained from scratch.
        tags["initialisation"] = START_KEPT
    if outcome.warnings:
        tags["warnings"] = "; ".join(outcome.warnings)
    return tags
