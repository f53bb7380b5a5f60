"""What goes wrong in training is said: learning rate, loss, scores, a worse model."""

import logging

import numpy as np
import pytest
import torch

from pipeline.protocols import Reranker
from pipeline.records import InputError
from pipeline.training.guards import LossCurve, check_gains
from tests.texts import PAIRS, PASSAGES, QUERIES
from tests.training.conftest import Train


@pytest.mark.slow
def test_a_worse_model_is_undone(fitted: Train, caplog: pytest.LogCaptureFixture) -> None:
    scores = iter([0.8, 0.5])
    kept, outcome = fitted(dev_score=lambda: next(scores), better_than_start=True)
    assert (outcome.kept, outcome.dev_before, outcome.dev_after) == ("start", 0.8, 0.5)
    assert "training did not raise the dev NDCG (before 0.800, after 0.500)" in caplog.text
    same = iter([1.0, 1.0])
    assert fitted(dev_score=lambda: next(same), better_than_start=True)[1].kept == "start"
    better = iter([0.5, 0.8])
    trained, outcome = fitted(dev_score=lambda: next(better), better_than_start=True)
    assert outcome.kept == "trained"
    start, _ = fitted("train.learning_rate=1e-12", "train.head_learning_rate=null")
    ours, theirs, other = (m.score_pairs(QUERIES, PASSAGES, PAIRS) for m in (kept, start, trained))
    assert np.allclose(ours, theirs, atol=1e-6)
    assert not np.allclose(ours, other, atol=1e-6)


@pytest.mark.slow
def test_training_stops_when_patience_is_over(
    fitted: Train, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pipeline")
    scores = iter([0.5, 0.9, 0.4, 0.3])  # a fifth evaluation would raise StopIteration
    _, outcome = fitted(
        "train.max_steps=50",
        "train.eval_every=2",
        "train.patience=2",
        dev_score=lambda: next(scores),
    )
    assert next(scores, None) is None
    # What was trained counts, not the 50 steps that were planned.
    assert (outcome.effort.steps, outcome.effort.pairs) == (8, 8 * 16)
    kept = "train: kept step 4 of 50, dev NDCG 0.900, stopped early at step 8"
    assert kept in caplog.messages


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["cross_encoder", "colbert"])
def test_the_last_steps_can_be_the_best(arch: str, fitted: Train) -> None:
    few = (f"arch={arch}", "train.max_steps=5", "train.learning_rate=1e-3")
    scores = iter([0.1, 0.2, 0.9])  # after steps 2, 4 and 5
    best, outcome = fitted(*few, "train.eval_every=2", dev_score=lambda: next(scores))
    assert next(scores, None) is None
    assert outcome.effort.steps == 5
    last, _ = fitted(*few)
    ours, theirs = (m.score_pairs(QUERIES, PASSAGES, PAIRS) for m in (best, last))
    assert np.array_equal(ours, theirs)


@pytest.mark.slow
@pytest.mark.parametrize("rate", ["1e-8", "0.1"])
def test_an_unusual_learning_rate_is_named(
    rate: str, fitted: Train, caplog: pytest.LogCaptureFixture
) -> None:
    _, outcome = fitted(f"train.learning_rate={rate}", "train.max_steps=1")
    assert f"train.learning_rate={float(rate):g}: usual is 1e-06 to 0.0005" in outcome.warnings[0]
    assert outcome.warnings[0] in caplog.text


@pytest.mark.slow
def test_a_flat_loss_is_named(fitted: Train) -> None:
    _, outcome = fitted("train.learning_rate=1e-9", "train.max_steps=16")
    assert any(warning.startswith("the loss is flat") for warning in outcome.warnings)


@pytest.mark.parametrize(
    ("losses", "warning"),
    [
        ([1 - n / 20 for n in range(16)], None),  # 0.925 in the first quarter, 0.325 in the last
        ([n / 20 for n in range(16)], "the loss is flat, 0.075 at first and 0.675 at last"),
        ([0.9, 1.0] * 8, "the loss is flat, 0.95 at first and 0.95 at last"),
        ([1.0, 2.0] * 8, None),  # falls by 0, give or take 0.8: too noisy to tell
        ([0.9, 1.0] * 7 + [0.9], None),  # too few to judge
    ],
)
def test_a_falling_loss_is_not_flat(losses: list[float], warning: str | None) -> None:
    passed_on = []
    curve = LossCurve(1e-5, lambda step, metrics: passed_on.append((step, metrics)))
    logged = [(step, {"train/loss": loss}) for step, loss in enumerate(losses)]
    for step, metrics in [*logged, (len(losses), {"train/dev_score": 0.5})]:
        curve.on_log(step, metrics)
    found = [text.partition(":")[0] for text in curve.warnings()]
    assert found == ([] if warning is None else [warning])
    assert passed_on == [*logged, (len(losses), {"train/dev_score": 0.5})]


@pytest.mark.slow
def test_a_loss_that_is_no_number_stops_the_run(fitted: Train) -> None:
    def broken(reranker: Reranker) -> Reranker:
        with torch.no_grad():
            next(reranker.model.parameters()).fill_(torch.nan)
        return reranker

    with pytest.raises(RuntimeError, match=r"the loss is nan at step 1: lower train.learning_rate"):
        fitted(wrap=broken)


def test_labels_that_lambda_can_not_raise_two_to_are_refused() -> None:
    with pytest.raises(InputError, match=r"arch.loss=lambda: the largest label is 200"):
        check_gains("lambda", 200)
    check_gains("listnet", 200)
    check_gains("lambda", 3)


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["cross_encoder", "colbert"])
def test_adapters_train_and_merge(
    arch: str, fitted: Train, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    scores = iter([0.2, 0.9, 0.1, 0.1])  # the second of four checkpoints is the best one
    trained: list[Reranker] = []
    seen = []

    def wrap(reranker: Reranker) -> Reranker:
        trained.append(reranker)
        return reranker

    def dev_score() -> float:
        seen.append(trained[0].score_pairs(QUERIES, PASSAGES, PAIRS))
        return next(scores)

    adapted, _ = fitted(
        f"arch={arch}",
        "train.lora_rank=4",
        "train.learning_rate=1e-2",
        "train.eval_every=1",
        dev_score=dev_score,
        wrap=wrap,
    )
    assert not caplog.records
    assert not any("lora" in name for name, _ in adapted.model.named_parameters())
    ours = adapted.score_pairs(QUERIES, PASSAGES, PAIRS)
    start, _ = fitted(f"arch={arch}", "train.learning_rate=1e-12")
    assert not np.allclose(ours, start.score_pairs(QUERIES, PASSAGES, PAIRS), atol=1e-4)
    assert [np.allclose(ours, then, atol=1e-4) for then in seen] == [False, True, False, False]
