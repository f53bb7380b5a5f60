"""Every loss trains on the columns it is given; what each example looks like, by hand."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.config import COLBERT_LOSSES, CROSS_ENCODER_LOSSES, DISTILLING
from pipeline.hardware import Hardware
from pipeline.mine import TrainingSet
from pipeline.records import TrainingExample
from pipeline.rerankers import load_reranker
from pipeline.rerankers.examples import columns
from pipeline.shared import Shared
from pipeline.train import plan, train, with_teacher
from pipeline.weights import prepare_base
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


@pytest.mark.parametrize(
    ("arch", "loss"),
    [("cross_encoder", loss) for loss in CROSS_ENCODER_LOSSES]
    + [("colbert", loss) for loss in COLBERT_LOSSES],
)
def test_every_loss_falls(
    arch: str, loss: str, shared: Shared, small: Compose, machine: Hardware, tmp_path: Path
) -> None:
    config = small(
        f"arch={arch}",
        f"arch.loss={loss}",
        "base=minilm_l3",
        "epochs=2",
        "negatives=2",
        "train.batch_size=8",
        *(["train.teacher=unused"] if loss in DISTILLING else []),
    )
    folder = prepare_base(config.base, Path(config.output_dir) / "cache")
    reranker = load_reranker(folder, config.arch, machine, 32, seed=1)
    teacher = load_reranker(folder, small("arch=colbert").arch, machine, 32, seed=2)
    assert reranker is not None and teacher is not None and shared.negatives is not None
    rows = TrainingSet(shared.negatives, shared.dataset, 2)
    schedule = plan(loss, len(rows), rows.queries, 2, 2, config.train)
    losses: list[float] = []
    train(
        reranker,
        lambda: with_teacher(rows.examples(), teacher) if loss in DISTILLING else rows.examples(),
        schedule,
        config.train,
        machine,
        1,
        tmp_path,
        None,
        lambda _, metrics: (
            losses.append(metrics["train/loss"]) if "train/loss" in metrics else None
        ),
    )
    assert len(losses) == schedule.steps
    assert np.isfinite(losses).all()
    third = len(losses) // 3
    assert np.mean(losses[-third:]) < np.mean(losses[:third])


def test_the_teacher_scores_positive_and_negatives(
    shared: Shared, small: Compose, machine: Hardware
) -> None:
    config = small("arch=colbert", "base=minilm_l3")
    folder = prepare_base(config.base, Path(config.output_dir) / "cache")
    teacher = load_reranker(folder, config.arch, machine, 32, seed=2)
    assert teacher is not None and shared.negatives is not None
    row = next(iter(TrainingSet(shared.negatives, shared.dataset, 2).examples()))
    (scored,) = with_teacher([row], teacher)
    passages = {"p": row.positive, "0": row.negatives[0], "1": row.negatives[1]}
    alone = teacher.score_pairs({"q": row.query}, passages, [("q", name) for name in passages])
    assert np.allclose(scored.teacher, alone, atol=1e-4)
