"""The work of a grid is counted from its configurations; what points share counts once."""

from dataclasses import replace

from pipeline.config import Config
from pipeline.config.stages import ForgettingConfig
from pipeline.sweep import planned_work
from tests.points import compose_config

SIZES = (
    "dataset.max_train_queries=20",
    "dataset.max_dev_queries=5",
    "dataset.max_eval_queries=10",
    "eval.depth=10",
    "latency.enabled=false",
)


def point(*words: str) -> Config:
    return compose_config([*SIZES, *words])


def test_a_teacher_scores_the_training_passages_once() -> None:
    words = ("arch.loss=kl", "train.teacher=run:t", "negatives=2")
    points = [point(*words), point(*words, "seed=2"), point(*words, "negatives=3")]
    works = planned_work.works([*points, point()])
    assert [work and work.taught for work in works] == [20 * 3, 0, 20 * 4, 0]
    assert works[1] is not None and works[1].to_score == works[1].ranked


def test_the_forgetting_check_scores_before_and_after_training() -> None:
    general = ForgettingConfig(replace(point().dataset, max_eval_queries=7))
    points = [replace(point(f"epochs={n}"), forgetting=general) for n in (0, 1, 2)]
    works = planned_work.works(points)
    assert [work and work.general for work in works] == [0, 2 * 7 * 10, 7 * 10]
