"""A teacher's scores are a stage: any saved reranker, fused if wished, scored once for all runs."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.experiment import recipe
from pipeline.experiment.fingerprint import fingerprints
from pipeline.experiment.shared import Shared
from pipeline.experiment.start import Start
from pipeline.experiment.teacher import find_teacher, teacher_scores
from pipeline.infra.hardware import Hardware
from pipeline.infra.model_files import content_hash
from pipeline.infra.stage_cache import StageCache
from pipeline.records import InputError
from pipeline.rerankers.saved import load_saved
from pipeline.tracking import reader
from pipeline.training.teacher import with_teacher
from pipeline.training.training_set import TrainingSet
from tests.conftest import Compose, Trained
from tests.points import BRIEF


@pytest.mark.slow
def test_runs_that_share_a_teacher_share_its_scores(
    small: Compose,
    shared: Shared,
    machine: Hardware,
    trained: Callable[[str], Trained],
    tmp_path: Path,
) -> None:
    run = trained("colbert")
    weight = reader.read_run(run.config.tracking, run.run_id).metrics["vector_fused/weight_at_10"]

    def folder(*overrides: str) -> Path:
        words = [f"train.teacher=run:{run.run_id}", "train.queries=10", "negatives=2", *BRIEF]
        config = small("arch=cross_encoder", "arch.loss=kl", *words, *overrides)
        start = Start.of(config, StageCache.of(config), shared)
        teacher = find_teacher(start)
        assert teacher is not None
        return teacher_scores(start, teacher)

    plain = folder()
    inputs = json.loads((plain / "inputs.json").read_text())
    assert inputs["teacher"]["model"] == content_hash(run.folder)
    assert "run:" not in json.dumps(inputs)  # its content, not its name
    same = (
        "seed=3",
        "epochs=2",
        "arch.loss=mse",
        "train.teacher_temperature=2",
        "train.queries=10",
    )
    assert folder(*same) == plain
    assert folder("negatives=1") != plain
    assert folder("train.teacher_fusion=0.0") != folder("train.teacher_fusion=1")
    fused = folder("train.teacher_fusion=recorded")
    assert fused != plain
    assert fused == folder(f"train.teacher_fusion={weight}")

    assert shared.negatives is not None
    rows = TrainingSet(shared.negatives, shared.dataset, 2, 10)
    row = next(with_teacher(rows.examples(), plain, temperature=2.0))
    texts = dict(zip("012", [row.positive, *row.negatives], strict=True))
    teacher = load_saved("train.teacher", run.folder, machine, 32)
    alone = teacher.score_pairs({"q": row.query}, texts, [("q", name) for name in texts])
    assert np.allclose(row.teacher, alone / 2, atol=1e-4)
    fused_rows = [row.teacher for row in with_teacher(rows.examples(), fused, 1.0)]
    assert len(fused_rows) == len(rows)
    assert all(0 <= score <= 1 for scores in fused_rows for score in scores)


@pytest.mark.slow
def test_a_run_learns_from_a_run(
    small: Compose, trained: Callable[[str], Trained], tmp_path: Path
) -> None:
    teacher = trained("colbert")
    bert = ["base=minilm_l3", "base.keep_layers=[0]"]  # most tests train a ModernBERT
    few = [
        *BRIEF,
        *bert,
        "train.max_steps=1",
        "train.queries=10",
        "eval.top_k=[5]",
        "eval.overfetch=1",
    ]
    words = [f"train.teacher=run:{teacher.run_id}", "arch.loss=kl", "negatives=3", *few]
    config = small("arch=cross_encoder", "train.teacher_fusion=0.5", *words)
    record = reader.read_run(config.tracking, recipe.run(config, tmp_path / "run"))
    assert record.status == "FINISHED"
    key = record.tags["stage.teacher"]
    (model,) = (Path(config.output_dir) / "cache" / "model").glob(f"{record.tags['stage.model']}")
    assert json.loads((model / "inputs.json").read_text())["teacher"] == key
    other = small("arch=cross_encoder", *words)
    assert fingerprints([config]) != fingerprints([other])


@pytest.mark.slow
def test_a_fusion_weight_that_nothing_recorded_is_asked_for(
    small: Compose, shared: Shared, tmp_path: Path
) -> None:
    words = [f"train.teacher={tmp_path}", "train.teacher_fusion=recorded", "arch.loss=kl"]
    config = small("arch=cross_encoder", *words)
    with pytest.raises(InputError, match=r"is no run:NAME .* as a number from 0 to 1"):
        find_teacher(Start.of(config, StageCache.of(config), shared))
