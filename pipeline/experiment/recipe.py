"""Run the recipe: one grid point from top to bottom.

    dataset -> index -> candidates -> negatives     shared.py: the same for many points
        -> train                                    model.py, around it forgetting.py
        -> score                                    scores.py
        -> evaluate                                 here
        -> latency                                  latency.py
        -> record                                   record.py

Every step but evaluate and record finds its result in the stage cache, if a point had the same
inputs. ``prepare`` makes what the point starts from, ``compute`` its results; ``record.py`` logs
them.
"""

import logging
import time
from dataclasses import replace
from pathlib import Path

from pipeline.config import Config
from pipeline.config.datasets import LabelledConfig
from pipeline.evaluation.quality import (
    Evaluation,
    FusionWeights,
    choose_fusion_weights,
    evaluate,
)
from pipeline.experiment import (
    audit,
    calibration,
    forgetting,
    latency,
    lengths,
    model,
    precision,
    record,
    scores,
    token_vectors,
)
from pipeline.experiment.fingerprint import fingerprints
from pipeline.experiment.record import Results
from pipeline.experiment.resources import load, open_cache
from pipeline.experiment.seen import refuse_seen
from pipeline.experiment.shared import Shared, announce
from pipeline.experiment.start import Start
from pipeline.infra.distributed import Leader, follow, leading
from pipeline.infra.stage_cache import StageCache
from pipeline.infra.steps import step
from pipeline.records import InputError, PairScores
from pipeline.rerankers.saved import announce_base
from pipeline.rerankers.scores import collapsed
from pipeline.rerankers.served import as_served
from pipeline.tracking import attempts, store, writer

log = logging.getLogger(__name__)

COLLAPSED = "nearly all scores of a query are the same for most queries: the model ranks nothing"
DEFAULT_WEIGHT = 0.5  # of a fusion, where no dev queries choose a better one


def run(config: Config, folder: Path) -> str:
    """Run one grid point, record it in MLflow and return its MLflow run id.

    ``folder`` receives the model and the logged files. A point that its sweep has finished
    already (a scheduler may start one twice) is not run again.

    Raises:
        InputError: the base, the data or the tracking store can't be found or used.
    """
    begun, spent = time.perf_counter(), dict[str, float]()
    with leading() as leader:
        tags = _tags(config)
        if done := attempts.earlier_attempt(config.tracking, tags["fingerprint"]):
            log.info("%s: finished before, run %s", config.run_name, done)
            return done
        cache = open_cache(config)
        early = None
        if config.tracking.parent_run_id is None:
            store.check(config.tracking)  # before the work, which takes long
            early = _early(config, cache, spent)
        with writer.run(config.tracking, config.run_name, tags, folder=folder) as active:
            record.log_config(active, config)
            if isinstance(early, Exception):
                raise early
            start = early or prepare(config, cache, spent)
            active.log_tags({"initialisation": start.config.initialisation})
            record.log_start(active, start)
            results = compute(start, active, leader, spent)
            with step("record", spent):
                record.log_results(active, start, results, folder)
                active.log_stages(cache.used)
            spent["rest"] = time.perf_counter() - begun - sum(spent.values())
            active.log_seconds(spent)
            return active.run_id


def assist(config: Config) -> None:
    """Take part in the training as a process whose rank is not 0; do nothing else."""
    follow(lambda: model.assist(Start.of(config, StageCache.of(config))))


def prepare(config: Config, cache: StageCache, spent: dict[str, float]) -> Start:
    """Make what the point starts from: base, data, candidates, negatives and audit.

    ``spent`` collects the seconds of each step.

    Raises:
        InputError: one of them can't be found or used.
    """
    start = Start.of(config, cache, spent=spent)
    config, base, shared, machine = start.config, start.base, start.shared, start.machine
    refuse_seen(f"base={config.base.path}", base, shared.dataset)
    if config.tracking.parent_run_id is None:  # A sweep has logged it once for all points.
        announce(shared)
        lengths.warn_of_embedder(shared)
    log.info("%s on %s (%s)", config.run_name, machine.name, precision.in_words(config, machine))
    with step("base", spent):
        announce_base(base, config.base, config.arch)
        lengths.warn_of_reranker(config, base, shared)
    if isinstance(config.dataset, LabelledConfig):
        with step("audit", spent):
            audited = audit.audit_labels(config, config.dataset, base, cache)
        return replace(start, audit=audited)
    return start


def compute(
    start: Start, active: writer.ActiveRun, leader: Leader, spent: dict[str, float]
) -> Results:
    """Train, score, evaluate and time the reranker; the loss curve goes to ``active``."""
    config, shared, folder = start.config, start.shared, start.base
    costs: dict[str, float] = {}
    if config.epochs > 0:
        with step("train", spent):
            folder, costs = _train(start, active, leader)
    with step("score", spent):
        reranker = load(config, folder, start.machine, trained=config.epochs > 0)
        pair_scores = None
        if reranker is not None:
            scorer, stored = token_vectors.served(start, reranker, folder)
            pair_scores, scored = scores.score(start, scorer, folder)
            costs |= stored | scored
    with step("evaluate", spent):
        if pair_scores is not None and collapsed(pair_scores):
            log.warning("%s: try another train.learning_rate or more data", COLLAPSED)
            active.log_tags({"collapsed": COLLAPSED})
        evaluation, fusion_weights = _evaluate(config, shared, pair_scores)
        calibrated, of_calibration = calibration.calibrate(config, shared.dataset, pair_scores)
        costs |= of_calibration
    timings: dict[str, float] = {}
    # A sweep times its points after the last one, when no neighbour trains.
    if config.latency.enabled and config.tracking.parent_run_id is None:
        with step("latency", spent):
            timings = latency.measure(start, trained_on=start.machine)
            active.log_tags(latency.tags(start.machine))
    return Results(reranker, evaluation, fusion_weights, calibrated, costs, timings)


def _tags(config: Config) -> dict[str, str]:
    return {
        "kind": "point",
        "arch": config.arch.name,
        "base": config.base.name,
        "initialisation": config.initialisation,
        "dataset": config.dataset.name,
        "fingerprint": fingerprints([config])[0],
    }


def _early(config: Config, cache: StageCache, spent: dict[str, float]) -> Start | Exception:
    """Prepare before there is a run, so that a mistake in a single command leaves none.

    Any other exception is returned: the run records it.
    """
    try:
        return prepare(config, cache, spent)
    except InputError:
        raise
    except Exception as error:
        return error


def _train(start: Start, active: writer.ActiveRun, leader: Leader) -> tuple[Path, dict[str, float]]:
    """The trained model's folder and metrics, with the forgetting check around training."""
    config = start.config
    if config.forgetting.dataset is None:
        return model.train_cached(start, active, leader)
    general = forgetting.prepare_general(start, config.forgetting.dataset)

    def measure(folder: Path, when: str) -> dict[str, float]:
        reranker = load(config, folder, start.machine, trained=when == "after")
        assert reranker is not None
        return forgetting.measure(general, as_served(reranker, config.rerank), folder, when)

    before = measure(start.base, "before")
    folder, costs = model.train_cached(start, active, leader)
    return folder, costs | before | measure(folder, "after")


def _evaluate(
    config: Config, shared: Shared, pair_scores: PairScores | None
) -> tuple[Evaluation, FusionWeights]:
    """The evaluation on test queries, and the fusion weights chosen on dev queries."""
    dev, test = shared.dataset.dev, shared.dataset.test
    fusion_weights: FusionWeights = {}
    if pair_scores is not None:
        if dev.queries:
            on_dev = shared.dev_candidates(config.eval.candidates)
            fusion_weights = choose_fusion_weights(on_dev, dev.qrels, config.eval, pair_scores)
        else:
            fusion_weights = _default_fusion_weights(config, shared)
    on_test = shared.test_candidates()
    return evaluate(on_test, test.qrels, config.eval, pair_scores, fusion_weights), fusion_weights


def _default_fusion_weights(config: Config, shared: Shared) -> FusionWeights:
    if config.eval.fusion.method == "rrf":
        return {}
    log.warning("no dev queries to choose fusion weights on, %s is used", DEFAULT_WEIGHT)
    return {
        search: dict.fromkeys(config.eval.top_k, DEFAULT_WEIGHT) for search in shared.candidates
    }
