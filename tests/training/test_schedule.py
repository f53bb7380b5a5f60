"""Steps, pairs and dev evaluations of a run, counted by hand."""

import pytest

from pipeline.config.training import TrainConfig
from pipeline.records import InputError
from pipeline.training.schedule import plan, warm_up


def test_plan_counts_steps_and_pairs() -> None:
    config = TrainConfig(batch_size=16)
    # 100 rows x (1 + 2) pairs: ceil(300 / 16) = 19 steps of pairs, ceil(100 / 16) = 7 of queries
    assert plan("bce", 100, 100, 2, 3, config).steps == 57
    assert plan("contrastive", 100, 100, 2, 3, config).steps == 21
    assert plan("contrastive", 100, 100, 2, 3, config).pairs == 900
    assert plan("bce", 100, 100, 2, 3, config).pairs == 900
    # 80 lists: ceil(80 / 16) = 5 steps over 100 relevant passages and 80 x 2 negatives
    assert plan("lambda", 100, 80, 2, 3, config).steps == 15
    assert plan("lambda", 100, 80, 2, 3, config).pairs == 780
    # 4 of the 19 batches of pairs make a step: ceil(19 / 4) = 5 steps, of the same pairs
    accumulated = TrainConfig(batch_size=16, gradient_accumulation=4)
    assert plan("bce", 100, 100, 2, 3, accumulated).steps == 15
    assert plan("bce", 100, 100, 2, 3, accumulated).pairs == 900


def test_plan_at_equal_compute() -> None:
    config = TrainConfig(batch_size=10, max_steps=5)
    assert plan("bce", 100, 100, 1, 9, config).steps == 5
    assert plan("bce", 100, 100, 1, 9, config).pairs == 50
    assert plan("contrastive", 100, 100, 3, 9, config).pairs == 200


def test_an_interval_longer_than_the_run_is_refused() -> None:
    with pytest.raises(InputError, match=r"train\.eval_every=50.* 7 steps"):
        plan("contrastive", 100, 100, 1, 1, TrainConfig(batch_size=16, eval_every=50))
    assert plan("contrastive", 100, 100, 1, 1, TrainConfig(eval_every=0.5)).eval_steps == 3


def test_no_step_of_a_warm_up_is_taken_for_a_trained_model() -> None:
    config = TrainConfig(warmup=0.1, batch_size=10, eval_every=0.05)
    assert (warm_up(config, 9), warm_up(config, 10)) == (0.0, 0.1)
    assert (
        plan("contrastive", 90, 90, 1, 1, config).eval_steps == 1
    )  # of 9 steps, without a warm-up
    assert plan("contrastive", 200, 200, 1, 1, config).eval_steps == 2  # of 20
    assert plan("contrastive", 1000, 1000, 1, 1, config).eval_steps == 5
