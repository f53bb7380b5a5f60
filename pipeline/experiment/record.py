"""Record a grid point in MLflow: configuration and facts first, results at the end."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from omegaconf import OmegaConf

from pipeline import data
from pipeline.config import Config
from pipeline.config.saved_models import MODEL
from pipeline.evaluation.metrics import write_qrels, write_run
from pipeline.evaluation.quality import Evaluation, FusionWeights
from pipeline.experiment import calibration, samples, seen
from pipeline.experiment.shared import Shared
from pipeline.experiment.start import Start
from pipeline.infra import provenance
from pipeline.infra.hardware import Hardware
from pipeline.infra.redact import flatten, mask
from pipeline.protocols import Reranker
from pipeline.records import SEARCHES
from pipeline.tracking import artifacts, model_card, writer
from pipeline.tracking.writer import ActiveRun

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Results:
    """What a point has come to; ``reranker`` is None for the control without one."""

    reranker: Reranker | None
    evaluation: Evaluation
    fusion_weights: FusionWeights
    calibration: dict[str, object]  # what is saved with the model
    costs: dict[str, float]  # metrics of training, scoring and calibration
    timings: dict[str, float]  # metrics of latency


def log_config(run: ActiveRun, config: Config) -> None:
    """Log every key of the configuration as a param, without secrets."""
    run.log_params(flatten(asdict(config)))
    run.log_text(mask(OmegaConf.to_yaml(asdict(config))), "config.yaml")


def log_start(run: ActiveRun, start: Start) -> None:
    """Log what the configuration leaves open: data, audit, code and machine.

    The stage outputs so far are logged, so that none of them is cleaned away while the point runs.
    """
    dataset, embedder = start.shared.dataset, start.shared.embedder
    run.log_stages(start.cache.used)
    for file in sorted(start.audit.glob("audit.*")) if start.audit else ():
        run.log_file(file, "audit")
    run.log_params(_facts(start))
    run.log_params(
        {
            "machine.embedder_precision": embedder.hardware.precision,
            "embedder.query_prompt": embedder.query_prompt,
            "embedder.passage_prompt": embedder.passage_prompt,
        }
    )
    run.log_dataset(dataset.name, dataset.fingerprint, data.sizes(dataset))
    if start.config.base.dedicated:  # A run's name or an alias may mean another model tomorrow.
        run.log_params({"base.folder": str(start.base.resolve())})


def machine_of(params: Mapping[str, str]) -> Hardware:
    """The machine that a recorded run was on, from its params ``machine.*``."""
    named = {field.name: params[f"machine.{field.name}"] for field in fields(Hardware)}
    training = None if named["training_precision"] == "None" else named["training_precision"]
    threads = int(named["threads"])
    return Hardware(named["device"], named["precision"], threads, named["name"], training)


def log_results(run: ActiveRun, start: Start, results: Results, folder: Path) -> None:
    """Log the results, and write model, model card and rankings to ``folder``."""
    config, dataset, evaluation = start.config, start.shared.dataset, results.evaluation
    metrics = evaluation.metrics()
    run.log_metrics(metrics | results.timings | results.costs)
    run.log_metrics(
        {
            f"{search}_fused/weight_at_{k}": weight
            for search, of_search in results.fusion_weights.items()
            for k, weight in of_search.items()
        }
    )
    trained = {query: float(query in dataset.trained_passage) for query in dataset.test.queries}
    facts = {artifacts.FACTS: {artifacts.TRAINED: trained}}
    artifacts.log_per_query(run, evaluation.per_query | facts)
    ndcg = f"ndcg_at_{max(config.eval.top_k)}"
    artifacts.log_query_table(run, dataset.test.queries, evaluation.per_query, ndcg)
    artifacts.log_texts(run, samples.sample(dataset, evaluation))
    _write_rankings(folder / "runs", evaluation, start.shared, config.run_name)
    for file in sorted(folder.glob("runs/*")):
        run.log_file(file, "runs")
    licence = model_card.licence(config.base, start.base)
    card = model_card.render(config, dataset, evaluation.per_query, results.costs, licence)
    (folder / "model_card.md").write_text(card, encoding="utf-8")
    run.log_file(folder / "model_card.md")
    run.log_note(card.partition("\n---\n")[2])  # without its front matter
    if results.reranker is not None:
        model = folder / MODEL
        results.reranker.save(model)
        seen.save(model, dataset, config.epochs > 0, start.base)
        (model / "README.md").write_text(card, encoding="utf-8")
        run.log_file(calibration.save(model, results.calibration))
        run.log_tags({writer.MODEL_FOLDER: str(model.resolve())})
    if config.tracking.parent_run_id is None:  # A sweep logs the line with the point's place.
        log.info("%s, %d test queries:", config.run_name, len(dataset.test))
        for line in summary(metrics):
            log.info("%s", line)


def summary(metrics: Mapping[str, float]) -> list[str]:
    """Return lines of a table: every search before, reranked and fused, at the largest cutoff.

    A dash stands for what was not measured.
    """
    k = _largest_cutoff(metrics, "vector")
    orders = {"before": "", "reranked": "_reranked", "fused": "_fused"}
    lines = [
        " " * 8 + f"{f'NDCG@{k}':^27}{f'hit rate@{k}':^27}",
        "search".ljust(8) + "".join(f"{order:>9}" for order in orders) * 2,
    ]
    for search in SEARCHES:
        names = [
            f"{search}{suffix}/{measure}_at_{k}"
            for measure in ("ndcg", "hit_rate")
            for suffix in orders.values()
        ]
        cells = [f"{metrics[name]:.3f}" if name in metrics else "-" for name in names]
        lines.append(search.ljust(8) + "".join(f"{cell:>9}" for cell in cells))
    return [line.rstrip() for line in lines]


def headline(metrics: Mapping[str, float]) -> str:
    """``vector_reranked hit@10 0.703, NDCG@10 0.591``: the largest cutoff, or the search alone."""
    reranked = any(name.startswith("vector_reranked/") for name in metrics)
    column = "vector_reranked" if reranked else "vector"
    k = _largest_cutoff(metrics, column)
    hit, ndcg = metrics[f"{column}/hit_rate_at_{k}"], metrics[f"{column}/ndcg_at_{k}"]
    return f"{column} hit@{k} {hit:.3f}, NDCG@{k} {ndcg:.3f}"


def _largest_cutoff(metrics: Mapping[str, float], column: str) -> int:
    return max(int(m.rsplit("_", 1)[1]) for m in metrics if m.startswith(f"{column}/ndcg_at_"))


def _facts(start: Start) -> dict[str, str]:
    dataset = start.shared.dataset
    return {
        "search.depth": str(start.config.search_depth),
        "data.own_passages": str(len(start.shared.own)),
        "data.fingerprint": dataset.fingerprint,
        **{f"data.{name}": str(size) for name, size in data.sizes(dataset).items()},
        **{f"data.dropped.{reason}": str(rows) for reason, rows in dataset.dropped.items()},
        **{f"machine.{name}": str(value) for name, value in asdict(start.machine).items()},
        **provenance.provenance(),
    }


def _write_rankings(folder: Path, evaluation: Evaluation, shared: Shared, tag: str) -> None:
    """Write judgments, all candidates, and the ranking of every column and cutoff as TREC files."""
    folder.mkdir(parents=True, exist_ok=True)
    write_qrels(folder / "qrels.txt", shared.dataset.test.qrels)
    for search, candidates in shared.test_candidates().items():
        write_run(folder / f"{search}_candidates.run", candidates, tag)
    for (column, k), ranking in evaluation.rankings.items():
        write_run(folder / f"{column}_at_{k}.run", ranking, tag)
