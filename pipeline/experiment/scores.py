"""Score all candidates of one grid point, or find the scores in the stage cache."""

import json
from dataclasses import asdict
from pathlib import Path

from pipeline.config import Config
from pipeline.experiment.shared import Shared
from pipeline.infra.code_version import code_version
from pipeline.infra.hardware import Hardware, measured
from pipeline.infra.model_files import content_hash
from pipeline.infra.stage_cache import StageCache
from pipeline.protocols import Scorer
from pipeline.records import PairScores
from pipeline.rerankers.scores import read_scores, score_candidates, write_scores

COST = "cost.json"


def score(
    config: Config,
    shared: Shared,
    scorer: Scorer,
    model: Path,
    machine: Hardware,
    cache: StageCache,
) -> tuple[PairScores, dict[str, float]]:
    """Scores of the candidates of dev and test queries by ``scorer``, loaded from ``model``.

    Also returns the metrics ``eval/seconds`` and ``eval/peak_mib`` of the pass that made them.
    """
    queries = shared.dataset.dev.queries | shared.dataset.test.queries

    def build(folder: Path) -> None:
        with measured(machine.device) as cost:
            scores = score_candidates(scorer, queries, shared.dataset.corpus, shared.candidates)
        write_scores(folder, scores)
        metrics = {"eval/seconds": cost.seconds, "eval/peak_mib": cost.peak_mib}
        (folder / COST).write_text(json.dumps(metrics))

    folder = cache.get("scores", inputs(config, shared, model, machine), build)
    costs: dict[str, float] = json.loads((folder / COST).read_text())
    return read_scores(folder, queries), costs


def inputs(config: Config, shared: Shared, model: Path, machine: Hardware) -> dict[str, object]:
    """What determines the scores, for the key of the stage output."""
    stored = config.rerank.vectors != "none"
    return {
        "model": content_hash(model),
        "arch": config.arch.in_use(),
        "dedicated": config.base.dedicated or config.epochs > 0,
        "seed": config.seed,  # of a head that the model lacks
        "rerank": asdict(config.rerank),
        "dataset": shared.dataset.fingerprint,
        "candidates": shared.candidates_key,
        "batch_size": config.eval.batch_size,
        "machine": machine.scoring(),
        "code": code_version("scores", *(["token vectors"] if stored else [])),
    }
