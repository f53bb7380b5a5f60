"""Score the training passages by a teacher, once for all runs that learn from the same scores."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.config import Config
from pipeline.config.models import DISTILLING
from pipeline.config.training import RECORDED
from pipeline.experiment.saved_scorer import SavedScorer, find_scorer
from pipeline.experiment.seen import refuse_seen
from pipeline.experiment.start import Start
from pipeline.infra.code_version import code_version
from pipeline.protocols import Scorer
from pipeline.records import InputError
from pipeline.rerankers.fused import FusedScorer
from pipeline.tracking import references
from pipeline.training.teacher import write_scores

WEIGHT = "vector_fused/weight_at_"  # + cutoff: the metric of a run's fusion weight


@dataclass(frozen=True)
class Teacher:
    """A teacher that is not loaded yet; ``inputs`` determine its scores, for their key."""

    scorer: SavedScorer
    weight: float | None  # its share in a fusion with vector search; None: its scores alone
    inputs: dict[str, object]


def find_teacher(start: Start) -> Teacher | None:
    """Find the teacher without scoring anything; None if nothing is distilled.

    Raises:
        InputError: there is no such teacher, it has no fusion weight, or it has seen test queries.
    """
    config, shared = start.config, start.shared
    if config.arch.loss not in DISTILLING:
        return None
    assert shared.negatives is not None
    assert config.train.teacher is not None
    scorer = find_scorer("train.teacher", config.train.teacher, config, start.cache)
    refuse_seen(scorer.name, scorer.folder, shared.dataset)
    weight = _fusion_weight(config)
    inputs: dict[str, object] = {
        "teacher": scorer.inputs(),
        "fusion_weight": weight,
        "index": None if weight is None else shared.index_key,  # stands for the embedder
        "dataset": shared.dataset.fingerprint,
        "mined": shared.negatives.name,
        "negatives": config.negatives,
        "queries": None if start.training_set.complete else config.train.queries,
        "code": code_version("teacher"),
    }
    return Teacher(scorer, weight, inputs)


def teacher_scores(start: Start, teacher: Teacher) -> Path:
    """The folder with the teacher's scores of every training row."""

    def build(folder: Path) -> None:
        scorer: Scorer = teacher.scorer.load()
        if teacher.weight is not None:
            scorer = FusedScorer(scorer, start.shared.embedder, teacher.weight)
        write_scores(folder, start.training_set, start.shared.dataset, scorer)

    return start.cache.get("teacher", teacher.inputs, build)


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
