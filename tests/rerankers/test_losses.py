"""Every loss trains on the columns it is given; what each example looks like, by hand."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from pipeline.config.models import COLBERT_LOSSES, CROSS_ENCODER_LOSSES, DISTILLING
from pipeline.experiment.shared import Shared
from pipeline.infra.hardware import Hardware
from pipeline.infra.model_files import prepare_base
from pipeline.records import TrainingExample
from pipeline.rerankers import load_reranker
from pipeline.training.examples import columns, with_teacher
from pipeline.training.negatives import TrainingSet
from pipeline.training.schedule import plan
from pipeline.training.train import train
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
def test_every_loss_learns_eight_rows_by_heart(
    arch: str, loss: str, shared: Shared, small: Compose, machine: Hardware, tmp_path: Path
) -> None:
    config = small(
        f"arch={arch}",
        f"arch.loss={loss}",
        "base=modernbert_tiny",
        "negatives=2",
        "train.max_steps=40",
        "train.batch_size=8",
        "train.learning_rate=3e-3",
        *(["train.teacher=unused"] if loss in DISTILLING else []),
    )
    folder = prepare_base(config.base, Path(config.output_dir) / "cache")
    reranker = load_reranker(folder, config.arch, machine, 32, seed=1)
    assert reranker is not None and shared.negatives is not None
    teacher = (2.0, 1.0, -1.0) if loss in DISTILLING else ()
    rows = list(islice(TrainingSet(shared.negatives, shared.dataset, 2).examples(), 8))
    losses: list[float] = []
    train(
        reranker,
        lambda: [row._replace(teacher=teacher) for row in rows],
        plan(loss, 8, 8, 2, 1, config.train),
        config.train,
        machine,
        1,
        tmp_path,
        None,
        lambda _, metrics: losses.extend(v for k, v in metrics.items() if k == "train/loss"),
    )
    assert len(losses) == 40
    assert np.isfinite(losses).all()
    # 0.95: listnet can't fall below the entropy of its labels, 0.976 here, from log(3) = 1.099
    assert np.mean(losses[-10:]) < 0.95 * np.mean(losses[:5])


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
