"""One grid point's trained model: from the cache, or its examples, schedule, teacher, dev score."""

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pipeline.config import Config
from pipeline.config.models import DISTILLING
from pipeline.evaluation.quality import evaluate
from pipeline.experiment.shared import Shared
from pipeline.infra import distributed, provenance
from pipeline.infra import model_files as weights
from pipeline.infra.hardware import Hardware, measured
from pipeline.infra.stage_cache import stage_output, unfinished
from pipeline.protocols import OnLog, Reranker
from pipeline.records import TrainingExample
from pipeline.rerankers import load_reranker
from pipeline.rerankers.saved import load_saved
from pipeline.rerankers.scores import score_candidates
from pipeline.tracking import writer
from pipeline.training.examples import with_teacher
from pipeline.training.negatives import TrainingSet
from pipeline.training.schedule import plan
from pipeline.training.train import Outcome, train

log = logging.getLogger(__name__)

MODEL, TRAINING = "model", "training.json"  # in the folder of the stage output


@dataclass(frozen=True)
class Training:
    """What is known of a training beside the weights."""

    metrics: dict[str, float]
    tags: dict[str, str]
    curve: list[tuple[int, dict[str, float]]]  # (optimiser step, metrics)


def fit(
    config: Config, shared: Shared, base: Path, machine: Hardware, record: writer.ActiveRun
) -> tuple[Path, dict[str, float]]:
    """The folder of the trained model, and the metrics ``train/...`` of what it took.

    Trained from ``base`` unless the cache has it; what an interrupted attempt had reached is gone
    on with. The loss curve goes to ``record``. What the guards noticed becomes the tag
    ``warnings``, and the tag ``best`` says whether the trained weights or those it started from
    were better on the dev queries.
    """
    cache = Path(config.output_dir) / "cache"
    inputs = _inputs(config, shared, base, machine)
    reached = unfinished(cache, "model", inputs)
    live = False

    def on_log(step: int, metrics: Mapping[str, float]) -> None:
        record.log_metrics(metrics, step)

    def build(folder: Path) -> None:
        nonlocal live
        live = True
        with distributed.training():
            reranker, training = _train(config, shared, base, machine, reached, on_log)
        reranker.save(folder / MODEL)
        (folder / TRAINING).write_text(json.dumps(asdict(training)))

    folder = stage_output(cache, "model", inputs, build)
    training = Training(**json.loads((folder / TRAINING).read_text()))
    if not live:
        log.info("train: done before, %d steps", training.metrics["train/steps"])
        for step, metrics in training.curve:
            on_log(step, metrics)
    record.log_tags(training.tags)
    return folder / MODEL, training.metrics


def assist(config: Config, shared: Shared, base: Path, machine: Hardware) -> None:
    """Take part in the training that rank 0 has begun in ``fit``."""
    cache = Path(config.output_dir) / "cache"
    reached = unfinished(cache, "model", _inputs(config, shared, base, machine))
    _train(config, shared, base, machine, reached, lambda step, metrics: None)


def _inputs(config: Config, shared: Shared, base: Path, machine: Hardware) -> dict[str, object]:
    """What determines the trained weights."""
    assert shared.negatives is not None
    settings = asdict(config.train)
    del settings["checkpoint_minutes"]
    inputs: dict[str, object] = {
        "base": weights.content_hash(base),
        "dedicated": config.base.dedicated,
        "arch": asdict(config.arch),
        "train": settings,
        "dataset": shared.dataset.fingerprint,
        "mined": shared.negatives.name,
        "negatives": config.negatives,
        "epochs": config.epochs,
        "seed": config.seed,
        "machine": asdict(machine),
        "code": provenance.code_version(),
    }
    if config.train.eval_every is not None or config.base.dedicated:  # the dev score decides
        inputs |= {"index": shared.index_key, "eval": asdict(config.eval)}
    if config.arch.loss in DISTILLING:
        inputs["teacher"] = weights.content_hash(_teacher_folder(config))
    return inputs


def _train(
    config: Config,
    shared: Shared,
    base: Path,
    machine: Hardware,
    reached: Path,
    on_log: OnLog,
) -> tuple[Reranker, Training]:
    """Train; the folder ``reached`` keeps what an interrupted training goes on with."""
    assert shared.negatives is not None
    reranker = load_reranker(
        base,
        config.arch,
        machine,
        config.eval.batch_size,
        seed=config.seed,
        dedicated=config.base.dedicated,
    )
    assert reranker is not None
    rows = TrainingSet(shared.negatives, shared.dataset, config.negatives)
    schedule = plan(
        config.arch.loss, len(rows), rows.queries, config.negatives, config.epochs, config.train
    )
    log.info("train: %d pairs in %d steps", schedule.pairs, schedule.steps)
    teacher = None
    if config.arch.loss in DISTILLING:
        key = f"train.teacher={config.train.teacher}"
        teacher = load_saved(key, _teacher_folder(config), machine, config.eval.batch_size)

    def examples() -> Iterable[TrainingExample]:
        return with_teacher(rows.examples(), teacher) if teacher else rows.examples()

    curve: list[tuple[int, dict[str, float]]] = []

    def watch(step: int, metrics: Mapping[str, float]) -> None:
        curve.append((step, dict(metrics)))
        on_log(step, metrics)

    with measured(machine.device) as cost:
        outcome = train(
            reranker,
            examples,
            schedule,
            config.train,
            machine,
            config.seed,
            reached,
            (lambda: dev_score(config, shared, reranker)) if shared.dataset.dev.queries else None,
            watch,
            better_than_start=config.base.dedicated,
        )
    seconds = outcome.spent + cost.seconds
    dev = {"train/dev_before": outcome.dev_before, "train/dev_after": outcome.dev_after}
    metrics = {
        "train/steps": schedule.steps,
        "train/pairs_seen": schedule.pairs,
        "train/pairs_per_s": schedule.pairs / seconds,
        "train/seconds": seconds,
        "train/peak_mib": cost.peak_mib,
        **{name: score for name, score in dev.items() if score is not None},
    }
    return reranker, Training(metrics, _tags(outcome), curve)


def dev_score(config: Config, shared: Shared, reranker: Reranker) -> float:
    """NDCG of the dev queries at the largest cutoff, over hybrid candidates."""
    dev = shared.dataset.dev
    depth, k = config.eval.dev_depth, max(config.eval.top_k)
    listed = {q: shared.candidates["hybrid"][q][:depth] for q in dev.queries}
    scores = score_candidates(reranker, dev.queries, shared.dataset.corpus, {"hybrid": listed})
    one = replace(config.eval, top_k=[k], depth=max(depth, k))
    result = evaluate({"hybrid": listed}, dev.qrels, one, scores, {"hybrid": 1.0})
    return result.metrics()[f"hybrid_reranked/ndcg_at_{k}"]


def _teacher_folder(config: Config) -> Path:
    """Of the reranker that ``train.teacher`` names."""
    assert config.train.teacher is not None
    runs = weights.Runs(config.tracking, Path(config.output_dir) / "cache")
    return weights.locate("train.teacher", config.train.teacher, runs)


def _tags(outcome: Outcome) -> dict[str, str]:
    tags = {"best": outcome.kept, "train.batch_in_memory": str(outcome.batch_size)}
    return tags | ({"warnings": "; ".join(outcome.warnings)} if outcome.warnings else {})
