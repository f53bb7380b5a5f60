"""The recipe: one grid point from top to bottom.

    data set -> index -> candidates -> hard negatives -> trained reranker
             -> scores -> metrics -> latency -> MLflow

The first row is shared by many points and comes from pipeline/shared.py; latency is shared by
those of the same architecture, base and lengths.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from omegaconf import OmegaConf

from pipeline import data, hardware, latency, model_card, provenance, texts, tracking, weights
from pipeline.artifacts import content_key, stage_output, watch_stages
from pipeline.audit import audit
from pipeline.config import ColbertConfig, Config, CrossEncoderConfig, LabelledConfig
from pipeline.data import labelled
from pipeline.evaluation import Evaluation, choose_weights, evaluate
from pipeline.fingerprint import fingerprints
from pipeline.fit import fit
from pipeline.forgetting import ForgettingCheck
from pipeline.hardware import Hardware, measured
from pipeline.metrics import write_qrels, write_run
from pipeline.records import Dataset, InputError
from pipeline.redact import mask
from pipeline.rerank import collapsed, score_candidates
from pipeline.rerankers import Reranker, Scorer, load_reranker
from pipeline.rerankers.saved import check_base
from pipeline.rerankers.windows import WindowedScorer
from pipeline.shared import CODE_VERSION, Shared, prepare

log = logging.getLogger(__name__)

UNUSABLE = 2  # exit code of an audit


def run(config: Config, folder: Path) -> str:
    """Run one grid point, record it in MLflow, return the MLflow run id.

    ``folder`` receives the model and what is logged.
    """
    stages = watch_stages()
    machine = hardware.resolve(config.hardware)
    base = weights.prepare_base(config.base, Path(config.output_dir) / "cache", config.tracking)
    if config.base.dedicated:
        check_base(base, config.base.path, config.arch)
    shared = prepare(config, machine)
    dataset = shared.dataset
    folder.mkdir(parents=True, exist_ok=True)
    costs: dict[str, float] = {}
    if config.tracking.parent_run_id is None:  # a sweep has said it once for all points
        log.info("%s", data.summary(dataset))
    log.info("%s on %s (%s)", config.run_name, machine.name, machine.precision)

    audited = _audit(config, base) if isinstance(config.dataset, LabelledConfig) else None

    with tracking.run(config.tracking, config.run_name, _tags(config)) as record:
        record.log_stages(stages)  # now, so that none is cleaned away, and again when all are known
        for file in sorted(audited.glob("audit.*")) if audited else ():
            record.log_file(file, "audit")
        record.log_params(tracking.flatten(asdict(config)) | _facts(shared, machine))
        record.log_dataset(dataset.name, dataset.fingerprint, data.sizes(dataset))
        if config.base.dedicated:  # what the name of a run or an alias meant today
            record.log_params({"base.folder": str(base.resolve())})
        reranker = load_reranker(
            base,
            config.arch,
            machine,
            config.eval.batch_size,
            seed=config.seed,
            dedicated=config.base.dedicated,
        )
        if reranker is not None and config.epochs > 0:
            costs |= _train(config, shared, reranker, machine, folder, record)
        scorer = _scorer(config, reranker) if reranker else None
        with measured(machine.device) as cost:
            evaluation, fusion_weights = _evaluate(config, shared, scorer, record)
        costs |= {"eval/seconds": cost.seconds, "eval/peak_mib": cost.peak_mib}
        timings = _latency(config, shared, scorer, machine, base) if config.latency.enabled else {}

        metrics = evaluation.metrics()
        record.log_metrics(metrics | timings | costs)
        record.log_metrics({f"{m}_fused/weight": w for m, w in fusion_weights.items()})
        tracking.log_per_query(record, evaluation.per_query)
        ndcg = f"ndcg_at_{max(config.eval.top_k)}"
        tracking.log_query_table(record, dataset.test.queries, evaluation.per_query, ndcg)
        tracking.log_texts(record, texts.sample(dataset, evaluation))
        _write_runs(folder / "runs", evaluation, dataset, config.run_name)
        licence = model_card.licence(config.base, base)
        card = model_card.render(config, dataset, evaluation.per_query, costs, licence)
        (folder / "model_card.md").write_text(card, encoding="utf-8")
        record.log_note(card.partition("\n---\n")[2])  # what follows its front matter
        if reranker is not None:
            reranker.save(folder / "model")
            (folder / "model" / "README.md").write_text(card, encoding="utf-8")
            record.log_tags({tracking.MODEL_FOLDER: str((folder / "model").resolve())})
        for file in sorted(folder.glob("runs/*")):
            record.log_file(file, "runs")
        record.log_file(folder / "model_card.md")
        record.log_text(mask(OmegaConf.to_yaml(asdict(config))), "config.yaml")
        for file in folder.glob("*.log"):
            record.log_file(file)
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


def _audit(config: Config, base: Path) -> Path:
    """The folder with the audit of the labelled file, made once for all points.

    Raises:
        InputError: the audit calls the file unusable.
    """
    dataset, arch = config.dataset, config.arch
    assert isinstance(dataset, LabelledConfig)
    length = arch.max_length if isinstance(arch, CrossEncoderConfig) else config.max_length
    if isinstance(arch, ColbertConfig):
        length = arch.document_length
    inputs: dict[str, object] = {
        "data": labelled.inputs(dataset),
        "base": str(base),
        "length": length,
        "code": CODE_VERSION,
    }

    def build(folder: Path) -> None:
        report = audit(
            Path(dataset.path),
            dataset.columns,
            corpus=Path(dataset.corpus) if dataset.corpus else None,
            base=str(base),
            max_length=length,
            near_duplicate=dataset.near_duplicate or 1.0,
        )
        if report.exit_code() == UNUSABLE:
            raise InputError(f"{dataset.path}: {report.findings[0].message}; see make audit")
        report.save(folder)

    folder = stage_output(Path(config.output_dir) / "cache", "audit", inputs, build)
    findings = json.loads((folder / "audit.json").read_text())["findings"]
    warnings = [finding["message"] for finding in findings if finding["severity"] == "warning"]
    log.info("audit: %s", "; ".join(warnings) or "no warnings")
    return folder


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


def _train(
    config: Config,
    shared: Shared,
    reranker: Reranker,
    machine: Hardware,
    folder: Path,
    record: tracking.ActiveRun,
) -> dict[str, float]:
    """Train, with the forgetting check around it; returns metrics."""
    if config.forgetting.dataset is None:
        return fit(config, shared, reranker, machine, folder, record)
    check = ForgettingCheck(config, machine)
    scorer = _scorer(config, reranker)
    before = check.measure(scorer, "before")
    costs = fit(config, shared, reranker, machine, folder, record)
    return costs | before | check.measure(scorer, "after")


def _scorer(config: Config, reranker: Reranker) -> Scorer:
    """The reranker as it is evaluated and served: its weights are the same objects."""
    if config.rerank.windows is None:
        return reranker
    return WindowedScorer(reranker, reranker.model.tokenizer, config.rerank)


def _evaluate(
    config: Config, shared: Shared, scorer: Scorer | None, record: tracking.ActiveRun
) -> tuple[Evaluation, dict[str, float]]:
    """The evaluation on test queries, with fusion weights chosen on dev queries."""
    dev, test = shared.dataset.dev, shared.dataset.test
    on_test = {m: {q: r[q] for q in test.queries} for m, r in shared.candidates.items()}
    if scorer is None:
        return evaluate(on_test, test.qrels, config.eval, None, {}), {}
    depth = config.eval.dev_depth
    on_dev = {m: {q: r[q][:depth] for q in dev.queries} for m, r in shared.candidates.items()}
    queries = dev.queries | test.queries
    both = {mode: on_dev[mode] | on_test[mode] for mode in shared.candidates}
    scores = score_candidates(scorer, queries, shared.dataset.corpus, both)
    if collapsed(scores):
        warning = "all scores of a query are the same, the reranker ranks nothing"
        log.warning("%s: try another train.learning_rate or more data", warning)
        record.log_tags({"collapsed": warning})
    if not dev.queries:
        log.warning("no dev queries: fusion weights can't be chosen, 0.5 is used")
        fusion_weights = dict.fromkeys(shared.candidates, 0.5)
    else:
        fusion_weights = choose_weights(on_dev, dev.qrels, config.eval, scores)
    return evaluate(on_test, test.qrels, config.eval, scores, fusion_weights), fusion_weights


def _latency(
    config: Config, shared: Shared, scorer: Scorer | None, machine: Hardware, base: Path
) -> dict[str, float]:
    """Measured, or shared with a run of the same architecture, base, lengths and machine."""
    wanted = config.latency.queries + config.latency.warmup
    # In hash order: the queries of a data set often stand in an order that means something.
    queries = sorted(shared.dataset.test.queries, key=lambda q: content_key({"query": q}))[:wanted]
    if len(queries) < wanted:
        log.warning("latency: %d test queries, fewer than the %d asked for", len(queries), wanted)
    inputs = {
        "arch": asdict(config.arch),
        # A run's name or an alias may mean another model tomorrow.
        "base": asdict(config.base) | ({"folder": str(base)} if config.base.dedicated else {}),
        "index": shared.index_key,
        "machine": asdict(machine),
        "latency": asdict(config.latency),
        "rerank": asdict(config.rerank),
        "queries": queries,
        "code": CODE_VERSION,
    }

    def build(folder: Path) -> None:
        asked = [shared.dataset.test.queries[q] for q in queries]
        timings = latency.measure(
            asked, shared.table, shared.embedder, scorer, machine, config.latency
        )
        (folder / "latency.json").write_text(json.dumps(timings))

    folder = stage_output(Path(config.output_dir) / "cache", "latency", inputs, build)
    timings: dict[str, float] = json.loads((folder / "latency.json").read_text())
    return timings


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
