"""What each training example looks like, by hand, and the teacher's scores."""

import numpy as np

from pipeline.experiment.shared import Shared
from pipeline.infra.hardware import Hardware
from pipeline.infra.model_files import prepare_base
from pipeline.infra.stage_cache import StageCache
from pipeline.records import TrainingExample
from pipeline.rerankers import load_reranker
from pipeline.training.examples import columns, with_teacher
from pipeline.training.negatives import TrainingSet
from tests.conftest import Compose

ROWS = [
    TrainingExample("q", "good", 1.0, ["bad", "worse"], (3.0, 1.0, 0.5)),
    TrainingExample("q", "fair", 0.5, ["bad", "worse"], (2.0, 1.0, 0.5)),
]


def test_pairs_carry_graded_labels() -> None:
    assert [tuple(row.values()) for row in columns("bce", ROWS)] == [
        ("q", "good", 1.0),
        ("q", "bad", 0.0),
        ("q", "worse", 0.0),
        ("q", "fair", 0.5),
        ("q", "bad", 0.0),
        ("q", "worse", 0.0),
    ]


def test_lists_hold_every_passage_of_a_query_once() -> None:
    (row,) = columns("lambda", ROWS)
    assert row["passages"] == ["good", "fair", "bad", "worse"]
    assert row["label"] == [1.0, 0.5, 0.0, 0.0]


def test_tuples_and_the_teachers_scores() -> None:
    first, _ = columns("mnrl", ROWS)
    assert first == {"query": "q", "positive": "good", "negative_1": "bad", "negative_2": "worse"}
    scored, _ = columns("margin_mse", ROWS)
    assert scored == {**first, "label": [3.0, 1.0, 0.5]}
    listed, _ = columns("distillation", ROWS)
    assert listed["documents"] == ["good", "bad", "worse"]


def test_the_teacher_scores_positive_and_negatives(
    shared: Shared, small: Compose, machine: Hardware
) -> None:
    config = small("arch=colbert", "base=modernbert_tiny")
    folder = prepare_base(config.base, StageCache.of(config))
    teacher = load_reranker(folder, config.arch, machine, 32, seed=2)
    assert teacher is not None and shared.negatives is not None
    row = next(iter(TrainingSet(shared.negatives, shared.dataset, 2).examples()))
    (scored,) = with_teacher([row], teacher)
    passages = {"p": row.positive, "0": row.negatives[0], "1": row.negatives[1]}
    alone = teacher.score_pairs({"q": row.query}, passages, [("q", name) for name in passages])
    assert np.allclose(scored.teacher, alone, atol=1e-4)
