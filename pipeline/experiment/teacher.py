"""Score the training passages by a teacher, once for all runs that learn from the same scores."""

from pathlib import Path

from pipeline.config import Config
from pipeline.config.models import DISTILLING
from pipeline.config.training import RECORDED
from pipeline.experiment.saved_scorer import find_scorer
from pipeline.experiment.shared import Shared
from pipeline.infra.code_version import code_version
from pipeline.infra.stage_cache import StageCache
from pipeline.protocols import Scorer
from pipeline.records import InputError
from pipeline.rerankers.fused import FusedScorer
from pipeline.tracking import references
from pipeline.training.negatives import TrainingSet
from pipeline.training.teacher import write_scores

WEIGHT = "vector_fused/weight_at_"  # + cutoff: the metric of a run's fusion weight


def teacher_scores(config: Config, shared: Shared, cache: StageCache) -> Path | None:
    """The folder with the teacher's scores of every training row; None if nothing is distilled.

    Raises:
        InputError: there is no such teacher, or it has no fusion weight.
    """
    if config.arch.loss not in DISTILLING:
        return None
    assert shared.negatives is not None
    assert config.train.teacher is not None
    teacher = find_scorer("train.teacher", config.train.teacher, config, cache)
    weight = _fusion_weight(config)
    queries = config.train.queries
    rows = TrainingSet(shared.negatives, shared.dataset, config.negatives, queries)
    inputs = {
        "teacher": teacher.inputs(),
        "fusion_weight": weight,
        "index": None if weight is None else shared.index_key,  # stands for the embedder
        "dataset": shared.dataset.fingerprint,
        "mined": shared.negatives.name,
        "negatives": config.negatives,
        "queries": None if rows.complete else queries,
        "code": code_version("teacher"),
    }

    def build(folder: Path) -> None:
        scorer: Scorer = teacher.load()
        if weight is not None:
            scorer = FusedScorer(scorer, shared.embedder, weight)
        write_scores(folder, rows, shared.dataset, scorer)

    return cache.get("teacher", inputs, build)


def _fusion_weight(config: Config) -> float | None:
    """The share of the teacher in a fusion with vector search; None: its scores alone."""
    fusion, teacher = config.train.teacher_fusion, config.train.teacher
    if fusion != RECORDED:
        return None if fusion is None else float(fusion)
    assert teacher is not None
    if not references.is_reference(teacher):
        raise InputError(
            f"train.teacher_fusion={fusion}: train.teacher={teacher} is no run:NAME or "
            "models:/NAME@ALIAS, so give the fusion weight as a number from 0 to 1"
        )
    run = references.find_model(config.tracking, teacher)
    weights = {
        int(name.removeprefix(WEIGHT)): weight
        for name, weight in run.metrics.items()
        if name.startswith(WEIGHT)
    }
    if not weights:
        raise InputError(
            f"train.teacher_fusion={fusion}: run:{run.name} has no fusion weight for vector "
            "search; give it as a number from 0 to 1"
        )
    return weights[max(weights)]
