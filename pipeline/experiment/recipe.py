"""The recipe: one grid point from top to bottom.

    data set -> index -> candidates -> hard negatives -> trained reranker
             -> scores -> metrics -> latency -> MLflow

The first row is shared by many points and comes from pipeline/shared.py; latency is shared by
those of the same architecture, base and lengths.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

from omegaconf import OmegaConf

from pipeline import data
from pipeline.config import Config
from pipeline.config.datasets import LabelledConfig
from pipeline.evaluation.metrics import write_qrels, write_run
from pipeline.evaluation.quality import Evaluation, choose_fusion_weights, evaluate
from pipeline.experiment import model as fit
from pipeline.experiment import samples as texts
from pipeline.experiment.audit import audit_labels
from pipeline.experiment.fingerprint import fingerprints
from pipeline.experiment.forgetting import ForgettingCheck
from pipeline.experiment.latency import timings_of
from pipeline.experiment.scores import candidates_of_dev, score
from pipeline.experiment.shared import Shared, prepare
from pipeline.infra import distributed, hardware, provenance, redact
from pipeline.infra import model_files as weights
from pipeline.infra.hardware import Hardware
from pipeline.infra.redact import mask
from pipeline.infra.stage_cache import enter_stage, rebuild_stages, watch_stages
from pipeline.protocols import Reranker, Scorer
from pipeline.records import Dataset, InputError
from pipeline.rerankers import load_reranker
from pipeline.rerankers.saved import check_base
from pipeline.rerankers.scores import PairScores, collapsed
from pipeline.rerankers.windows import WindowedScorer
from pipeline.tracking import artifacts, attempts, model_card, reader, writer

log = logging.getLogger(__name__)

OF_POINTS = ("model", "scores", "latency")  # the stages that force=true repeats


def run(config: Config, folder: Path) -> str:
    """Run one grid point, record it in MLflow, return the MLflow run id.

    ``folder`` receives the model and what is logged. A point that its sweep has finished already
    (a scheduler may start one twice) is not run again.

    Raises:
        InputError: the base, the data or the tracking store is not to be had, or not usable.
    """
    with distributed.leading():  # at whose end the other processes end, whatever happens here
        tags = _tags(config)
        if done := attempts.earlier_attempt(config.tracking, tags["fingerprint"]):
            log.info("%s: finished before, run %s", config.run_name, done)
            return done
        return _run(config, folder, tags)


def assist(config: Config) -> None:
    """The part of a process that is not of rank 0: nothing but the training."""

    def train() -> None:
        machine = hardware.resolve(config.hardware)
        cache = Path(config.output_dir) / "cache"
        base = weights.prepare_base(config.base, cache, config.tracking)
        fit.assist(config, prepare(config, machine), base, machine)

    distributed.follow(train)


class _Ready(NamedTuple):
    """What a point starts from."""

    machine: Hardware
    base: Path
    shared: Shared
    audited: Path | None  # the folder of the audit, of labelled files


def _ready(config: Config) -> _Ready:
    enter_stage("base")
    machine = hardware.resolve(config.hardware)
    base = weights.prepare_base(config.base, Path(config.output_dir) / "cache", config.tracking)
    if config.base.dedicated:
        check_base(base, config.base.path, config.arch)
    shared = prepare(config, machine)
    if config.tracking.parent_run_id is None:  # a sweep has said it once for all points
        log.info("%s", data.summary(shared.dataset))
    log.info("%s on %s (%s)", config.run_name, machine.name, machine.precision)
    enter_stage("audit")
    labelled = isinstance(config.dataset, LabelledConfig)
    return _Ready(machine, base, shared, audit_labels(config, base) if labelled else None)


def _run(config: Config, folder: Path, tags: Mapping[str, str]) -> str:
    stages = watch_stages()
    parent = config.tracking.parent_run_id
    # What points share is measured once in a sweep, so what it has made itself is not too old.
    begun = reader.started(config.tracking, parent) if parent else time.time()
    rebuild_stages(begun if config.force else 0.0, OF_POINTS)
    ready: _Ready | Exception | None = None
    if parent is None:  # a mistake in a single command leaves no run
        try:
            ready = _ready(config)
        except InputError:
            raise
        except Exception as error:
            ready = error
    with writer.run(config.tracking, config.run_name, tags, folder=folder) as record:
        if isinstance(ready, Exception):
            raise ready
        record.log_params(redact.flatten(asdict(config)))
        machine, base, shared, audited = ready or _ready(config)
        dataset = shared.dataset
        folder.mkdir(parents=True, exist_ok=True)
        costs: dict[str, float] = {}
        record.log_stages(stages)  # now, so that none is cleaned away, and again when all are known
        for file in sorted(audited.glob("audit.*")) if audited else ():
            record.log_file(file, "audit")
        record.log_params(_facts(shared, machine))
        record.log_dataset(dataset.name, dataset.fingerprint, data.sizes(dataset))
        if config.base.dedicated:  # what the name of a run or an alias meant today
            record.log_params({"base.folder": str(base.resolve())})
        model = base
        enter_stage("train")
        if config.epochs > 0:
            model, of_training = _train(config, shared, base, machine, record)
            costs |= of_training
        enter_stage("score")
        reranker = _load(config, model, machine)
        scorer = _scorer(config, reranker) if reranker else None
        scores = None
        if scorer is not None:
            scores, of_scoring = score(config, shared, scorer, model, machine)
            costs |= of_scoring
        enter_stage("evaluate")
        evaluation, fusion_weights = _evaluate(config, shared, scores, record)
        enter_stage("latency")
        timings = {}
        if config.latency.enabled:
            timings = timings_of(config, shared, scorer, machine, base)

        enter_stage("record")
        metrics = evaluation.metrics()
        record.log_metrics(metrics | timings | costs)
        record.log_metrics({f"{m}_fused/weight": w for m, w in fusion_weights.items()})
        artifacts.log_per_query(record, evaluation.per_query)
        ndcg = f"ndcg_at_{max(config.eval.top_k)}"
        artifacts.log_query_table(record, dataset.test.queries, evaluation.per_query, ndcg)
        artifacts.log_texts(record, texts.sample(dataset, evaluation))
        _write_runs(folder / "runs", evaluation, dataset, config.run_name)
        licence = model_card.licence(config.base, base)
        card = model_card.render(config, dataset, evaluation.per_query, costs, licence)
        (folder / "model_card.md").write_text(card, encoding="utf-8")
        record.log_note(card.partition("\n---\n")[2])  # what follows its front matter
        if reranker is not None:
            reranker.save(folder / "model")
            (folder / "model" / "README.md").write_text(card, encoding="utf-8")
            record.log_tags({writer.MODEL_FOLDER: str((folder / "model").resolve())})
        for file in sorted(folder.glob("runs/*")):
            record.log_file(file, "runs")
        record.log_file(folder / "model_card.md")
        record.log_text(mask(OmegaConf.to_yaml(asdict(config))), "config.yaml")
        record.log_stages(stages)
        if config.tracking.parent_run_id is None:  # else the sweep says it, with the place
            log.info("%s: %s", config.run_name, headline(metrics))
        return record.run_id


def _tags(config: Config) -> dict[str, str]:
    return {
        "kind": "point",
        "arch": config.arch.name,
        "base": config.base.name,
        "initialisation": config.initialisation,
        "dataset": config.dataset.name,
        "fingerprint": fingerprints([config])[0],
    }


def _facts(shared: Shared, machine: Hardware) -> dict[str, str]:
    """What the configuration does not say: data, code and machine."""
    dataset = shared.dataset
    return {
        "data.fingerprint": dataset.fingerprint,
        **{f"data.{name}": str(size) for name, size in data.sizes(dataset).items()},
        **{f"data.dropped.{reason}": str(rows) for reason, rows in dataset.dropped.items()},
        **{f"machine.{name}": str(value) for name, value in asdict(machine).items()},
        **provenance.provenance(),
    }


def _load(config: Config, folder: Path, machine: Hardware) -> Reranker | None:
    """The reranker in ``folder``: as it was saved, or a transformer with a new head."""
    return load_reranker(
        folder,
        config.arch,
        machine,
        config.eval.batch_size,
        seed=config.seed,
        dedicated=config.base.dedicated or config.epochs > 0,
    )


def _train(
    config: Config, shared: Shared, base: Path, machine: Hardware, record: writer.ActiveRun
) -> tuple[Path, dict[str, float]]:
    """The trained model's folder and metrics, with the forgetting check around training."""
    if config.forgetting.dataset is None:
        return fit.fit(config, shared, base, machine, record)
    check = ForgettingCheck(config, machine)
    enter_stage("train")  # no longer the preparation of the other data set

    def measure(folder: Path, point: Config, when: str) -> dict[str, float]:
        reranker = _load(point, folder, machine)
        assert reranker is not None
        return check.measure(_scorer(config, reranker), when)

    before = measure(base, replace(config, epochs=0), "before")
    model, costs = fit.fit(config, shared, base, machine, record)
    return model, costs | before | measure(model, config, "after")


def _scorer(config: Config, reranker: Reranker) -> Scorer:
    """The reranker as it is evaluated and served: its weights are the same objects."""
    if config.rerank.windows is None:
        return reranker
    return WindowedScorer(reranker, reranker.model.tokenizer, config.rerank)


def _evaluate(
    config: Config, shared: Shared, scores: PairScores | None, record: writer.ActiveRun
) -> tuple[Evaluation, dict[str, float]]:
    """The evaluation on test queries, with fusion weights chosen on dev queries."""
    dev, test = shared.dataset.dev, shared.dataset.test
    on_test = {m: {q: r[q] for q in test.queries} for m, r in shared.candidates.items()}
    if scores is None:
        return evaluate(on_test, test.qrels, config.eval, None, {}), {}
    if collapsed(scores):
        warning = "all scores of a query are the same, the reranker ranks nothing"
        log.warning("%s: try another train.learning_rate or more data", warning)
        record.log_tags({"collapsed": warning})
    if not dev.queries:
        log.warning("no dev queries: fusion weights can't be chosen, 0.5 is used")
        fusion_weights = dict.fromkeys(shared.candidates, 0.5)
    else:
        on_dev = candidates_of_dev(config, shared)
        fusion_weights = choose_fusion_weights(on_dev, dev.qrels, config.eval, scores)
    return evaluate(on_test, test.qrels, config.eval, scores, fusion_weights), fusion_weights


def _write_runs(folder: Path, evaluation: Evaluation, dataset: Dataset, tag: str) -> None:
    folder.mkdir(exist_ok=True)
    write_qrels(folder / "qrels.txt", dataset.test.qrels)
    for (stage, k), ranking in evaluation.rankings.items():
        write_run(folder / f"{stage}_at_{k}.run", ranking, tag)


def headline(metrics: Mapping[str, float]) -> str:
    """``vector_reranked hit@10 0.703, NDCG@10 0.591``: the largest cutoff, or the search alone."""
    stage = (
        "vector_reranked" if any(m.startswith("vector_reranked/") for m in metrics) else "vector"
    )
    cutoffs = [int(m.rsplit("_", 1)[1]) for m in metrics if m.startswith(f"{stage}/ndcg_at_")]
    k = max(cutoffs)
    hit, ndcg = metrics[f"{stage}/hit_rate_at_{k}"], metrics[f"{stage}/ndcg_at_{k}"]
    return f"{stage} hit@{k} {hit:.3f}, NDCG@{k} {ndcg:.3f}"
