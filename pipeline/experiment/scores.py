"""Score all candidates of one grid point, or find the scores in the stage cache."""

import json
from dataclasses import asdict
from pathlib import Path

from pipeline.experiment.start import Start
from pipeline.infra.code_version import code_version
from pipeline.infra.hardware import measured
from pipeline.infra.model_files import content_hash
from pipeline.protocols import Scorer
from pipeline.records import PairScores
from pipeline.rerankers.scores import read_scores, score_candidates, write_scores

COST = "cost.json"


def score(start: Start, scorer: Scorer, model: Path) -> tuple[PairScores, dict[str, float]]:
    """Scores of the candidates of dev and test queries by ``scorer``, loaded from ``model``.

    Also returns the metrics ``eval/seconds`` and ``eval/peak_mib`` of the pass that made them.
    """
    dataset = start.shared.dataset
    queries = dataset.searched

    def build(folder: Path) -> None:
        with measured(start.machine.device) as usage:
            scores = score_candidates(scorer, queries, dataset.corpus, start.shared.candidates)
        write_scores(folder, scores)
        metrics = {"eval/seconds": usage.seconds, "eval/peak_mib": usage.peak_mib}
        (folder / COST).write_text(json.dumps(metrics))

    folder = start.cache.get("scores", inputs(start, model), build)
    costs: dict[str, float] = json.loads((folder / COST).read_text())
    return read_scores(folder, queries), costs


def inputs(start: Start, model: Path) -> dict[str, object]:
    """What determines the scores, for the key of the stage output."""
    config, shared = start.config, start.shared
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
        "machine": start.machine.scoring(),
        "code": code_version("scores", *(["token vectors"] if stored else [])),
    }
