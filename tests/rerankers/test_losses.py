"""Every loss trains on the columns that it is given."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.config.models import COLBERT_LOSSES, CROSS_ENCODER_LOSSES, DISTILLING
from pipeline.experiment.shared import Shared
from pipeline.infra.hardware import Hardware
from pipeline.infra.model_files import prepare_base
from pipeline.infra.stage_cache import StageCache
from pipeline.records import TrainingExample
from pipeline.rerankers import load_reranker
from pipeline.rerankers.cross_encoder import CrossEncoderReranker
from pipeline.rerankers.lce import LceLoss
from pipeline.training.schedule import plan
from pipeline.training.train import train
from pipeline.training.training_set import TrainingSet
from tests.conftest import Compose


@pytest.mark.slow
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
        "train.max_steps=24",
        "train.batch_size=8",
        "train.learning_rate=3e-3",
        *(["train.teacher=unused"] if loss in DISTILLING else []),
    )
    folder = prepare_base(config.base, StageCache.of(config))
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
        hardware=machine,
        seed=1,
        folder=tmp_path,
        on_log=lambda _, metrics: losses.extend(v for k, v in metrics.items() if k == "train/loss"),
    )
    assert len(losses) == 24
    assert np.isfinite(losses).all()
    # 0.95: listnet can't fall below the entropy of its labels, 0.976 here, from log(3) = 1.099
    assert np.mean(losses[-6:]) < 0.95 * np.mean(losses[:3])


TEACHER = (3.0, 0.0, -1.0)


def squares(scores: np.ndarray) -> float:
    return float(np.mean((scores - TEACHER) ** 2))


def cross_entropy(scores: np.ndarray) -> float:
    # softmax(3, 0, -1) by hand
    return float(-np.log(np.exp(scores) / np.exp(scores).sum()) @ [0.9362, 0.0466, 0.0171])


def divergence(scores: np.ndarray) -> float:
    return cross_entropy(scores) - 0.274  # the entropy of the teacher's softmax, by hand


@pytest.mark.parametrize(
    ("loss", "by_hand"),
    [("mse", squares), ("kl", cross_entropy), ("distillation", divergence)],
)
def test_a_distilling_loss_is_what_its_formula_says(
    loss: str,
    by_hand: Callable[[np.ndarray], float],
    small: Compose,
    machine: Hardware,
    tmp_path: Path,
) -> None:
    arch = "colbert" if loss in COLBERT_LOSSES else "cross_encoder"
    overrides = ["base=modernbert_tiny", f"arch={arch}", f"arch.loss={loss}", "negatives=2"]
    config = small(*overrides, "train.teacher=unused", "train.max_steps=1", "train.batch_size=3")
    folder = prepare_base(config.base, StageCache.of(config))
    reranker = load_reranker(folder, config.arch, machine, 32, seed=1)
    assert reranker is not None
    row = TrainingExample("merge", "merges one", 1, 1.0, ["a graph", "tea"], teacher=TEACHER)
    passages = dict(enumerate([row.positive, *row.negatives]))
    before = reranker.score_pairs(
        {"q": row.query}, {str(n): text for n, text in passages.items()}, [("q", n) for n in "012"]
    )
    losses: list[float] = []
    train(
        reranker,
        lambda: [row],
        plan(loss, 1, 1, 2, 1, config.train),
        config.train,
        hardware=machine,
        seed=1,
        folder=tmp_path,
        on_log=lambda _, metrics: losses.extend(v for k, v in metrics.items() if k == "train/loss"),
    )
    assert losses == [pytest.approx(by_hand(before), abs=2e-3)]


def test_lce_is_the_softmax_over_the_passages_of_a_query(small: Compose, machine: Hardware) -> None:
    config = small("arch=cross_encoder", "base=modernbert_tiny")
    folder = prepare_base(config.base, StageCache.of(config))
    reranker = load_reranker(folder, config.arch, machine, 32, seed=1)
    assert isinstance(reranker, CrossEncoderReranker)
    loss = LceLoss(reranker.model)
    # The relevant passages of two queries, then two negatives of each.
    logits = [torch.tensor([2.0, 0.0, 1.0, 0.0, 0.0, 0.0])]
    # By hand: -log(e^2 / (e^2 + e + 1)) = 0.4076 and -log(1/3) = 1.0986, on average 0.7531.
    assert loss.calculate_loss(logits, 2).item() == pytest.approx(0.7531, abs=1e-4)
    columns = [["merge", "draw"], ["merges one", "a graph"], ["tea", "tea"], ["kettle", "kettle"]]
    pairs = [list(zip(columns[0], passages, strict=True)) for passages in columns[1:]]
    scores = np.array([reranker.model.predict(column) for column in pairs], dtype=np.float64)
    expected = np.mean(np.log(np.exp(scores).sum(axis=0)) - scores[0])
    reranker.model.eval()
    assert loss(columns, torch.zeros(2)).item() == pytest.approx(expected, abs=1e-5)
