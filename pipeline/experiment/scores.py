"""One point's scores of all candidates: from the cache, or from one pass of the reranker."""

import json
from dataclasses import asdict
from pathlib import Path

from pipeline.config import Config
from pipeline.experiment.shared import Shared
from pipeline.infra import model_files as weights
from pipeline.infra import provenance
from pipeline.infra.hardware import Hardware, measured
from pipeline.infra.stage_cache import stage_output
from pipeline.protocols import Scorer
from pipeline.records import Ranking
from pipeline.rerankers.scores import PairScores, read_scores, score_candidates, write_scores

COST = "cost.json"


def score(
    config: Config, shared: Shared, scorer: Scorer, model: Path, machine: Hardware
) -> tuple[PairScores, dict[str, float]]:
    """Scores of the candidates of dev and test queries by ``scorer``, loaded from ``model``.

    With them the metrics ``eval/seconds`` and ``eval/peak_mib`` of the pass that made them.
    """
    dev, test = shared.dataset.dev, shared.dataset.test
    queries = dev.queries | test.queries
    inputs: dict[str, object] = {
        "model": weights.content_hash(model),
        "arch": asdict(config.arch),
        "dedicated": config.base.dedicated or config.epochs > 0,
        "seed": config.seed,  # of a head that the model lacks
        "rerank": asdict(config.rerank),
        "dataset": shared.dataset.fingerprint,
        "index": shared.index_key,
        "depth": config.eval.candidates,
        "dev_depth": config.eval.dev_depth,
        "rrf_k": config.eval.rrf_k,
        "batch_size": config.eval.batch_size,
        "machine": asdict(machine),
        "code": provenance.code_version(),
    }

    def build(folder: Path) -> None:
        on_dev = candidates_of_dev(config, shared)
        both = {m: {**of_mode, **on_dev[m]} for m, of_mode in shared.candidates.items()}
        with measured(machine.device) as cost:
            scores = score_candidates(scorer, queries, shared.dataset.corpus, both)
        write_scores(folder, scores)
        metrics = {"eval/seconds": cost.seconds, "eval/peak_mib": cost.peak_mib}
        (folder / COST).write_text(json.dumps(metrics))

    folder = stage_output(Path(config.output_dir) / "cache", "scores", inputs, build)
    costs: dict[str, float] = json.loads((folder / COST).read_text())
    return read_scores(folder, queries), costs


def candidates_of_dev(config: Config, shared: Shared) -> dict[str, Ranking]:
    """Mode -> the first ``eval.dev_depth`` candidates of each dev query."""
    depth, dev = config.eval.dev_depth, shared.dataset.dev
    return {m: {q: r[q][:depth] for q in dev.queries} for m, r in shared.candidates.items()}
