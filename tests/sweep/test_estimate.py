"""The time of a sweep is its counted work by the measured speed, then by the pace so far."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.config import Config
from pipeline.experiment.speed import Sample, Speed
from pipeline.experiment.work import Work
from pipeline.infra.hardware import Hardware
from pipeline.sweep import estimate
from pipeline.sweep.clock import Clock
from pipeline.sweep.estimate import Counted, Seconds, in_words, of_point, seconds, side_by_side
from pipeline.sweep.grid import Grid
from tests.points import compose_config
from tests.shared import EMPTY

CPU = Hardware("cpu", "fp32", 2, "test")
NOTHING = Sample([], [], [], 1)


def counted(work: Work, *words: str) -> Counted:
    return Counted(compose_config(words), Path("base"), CPU, work, lambda: NOTHING)


def test_a_point_takes_its_work_by_the_speed() -> None:
    work = Work(trained=100, scored=200, served=10, searched=20, encoded=30, called=1.5)
    found = of_point(work, Speed(train=0.5, score=0.1, serve=0.2))
    timing = 10 * 0.2 + 20 * estimate.SEARCH + 1.5 + estimate.TIMER
    assert found == pytest.approx((50 + estimate.TRAINER, 20 + 30 * 0.2, timing, estimate.REST))
    assert of_point(Work(), Speed(1, 1, 1)) == (0, 0, 0, estimate.REST)


def test_points_of_one_kind_are_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[tuple[str, int, Work]] = []

    def measure(config: Config, base: Path, machine: Hardware, work: Work, texts: Sample) -> Speed:
        measured.append((config.arch.name, config.negatives, work))
        return Speed(config.negatives, 2, 3)

    monkeypatch.setattr(estimate, "measure", measure)
    found = seconds(
        [
            counted(Work(0, 5), "arch=colbert", "negatives=1", "epochs=1"),  # found in the cache
            counted(Work(10, 5), "arch=colbert", "negatives=1", "epochs=1"),
            counted(Work(20, 5), "arch=colbert", "negatives=1", "epochs=2"),
            counted(Work(40, 5), "arch=colbert", "negatives=2", "epochs=2", "seed=13"),
            counted(Work(0, 5, 7), "arch=colbert", "negatives=0", "epochs=0"),
            counted(Work(encoded=9), "arch=colbert", "epochs=0", "rerank.vectors=fp16"),
            counted(Work(10, 5), "arch=cross_encoder"),
            counted(Work(0, 5), "arch=cross_encoder", "epochs=0", "rerank.windows=64"),
        ]
    )
    # A ColBERT trains fewer pairs a second with fewer negatives, but scores as fast.
    assert measured == [
        ("colbert", 2, Work(40, 5, 7, encoded=9)),
        ("colbert", 1, Work(10)),
        ("cross_encoder", 1, Work(10, 5)),
        ("cross_encoder", 1, Work(0, 5)),
    ]
    start = estimate.TRAINER
    trained = [point.train for point in found]
    assert trained == [0, 10 + start, 20 + start, 80 + start, 0, 0, 10 + start, 0]
    assert found[4].time == 21
    assert found[5].score == 9 * 3


@pytest.mark.parametrize(
    ("arch", "words", "alike"),
    [
        ("cross_encoder", ("train.dropout=0.1",), False),
        ("cross_encoder", ("train.batch_size=4",), False),
        ("cross_encoder", ("negatives=3",), True),
        ("cross_encoder", ("train.queries=9", "train.learning_rate=0.01"), True),
        ("colbert", ("negatives=3",), False),
    ],
)
def test_what_changes_the_speed_of_training_leaves_that_of_scoring(
    arch: str, words: tuple[str, ...], alike: bool
) -> None:
    plain = counted(Work(1), f"arch={arch}", "negatives=1")
    other = counted(Work(1), f"arch={arch}", "negatives=1", *words)
    assert (plain.training == other.training) is alike
    assert plain.kind == other.kind


def test_the_estimate_is_a_sentence() -> None:
    points = [Seconds(0, 0, 20, 8), Seconds(660, 540, 100, 52)]
    assert in_words(points) == (
        "about 23 min: 11 min to train, 9 min to score, 2 min to time, 60 s for the rest"
    )


def test_points_on_gpus_of_their_own_take_a_share_of_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    grid = Grid(["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "epochs=0", "seed=1,2,3"])
    points = [(point, EMPTY) for point in grid.points]
    estimated = [Seconds(100, 0, 20, 0), Seconds(60, 0, 0, 0), Seconds(40, 0, 0, 0)]
    monkeypatch.setattr(estimate, "of_sweep", lambda ready: estimated)
    wholes = []
    for gpus in (0, 1, 2, 8):
        monkeypatch.setattr("torch.cuda.device_count", lambda gpus=gpus: gpus)
        wholes.append(estimate.expect(Clock(), grid, points).whole)
    assert wholes == [220, 220, 120, 120]  # They are timed one by one.
    grid.config.fail_fast = True
    assert estimate.expect(Clock(), grid, points).whole == 220
    assert side_by_side([90, 5, 5], 2) == pytest.approx([81, 4.5, 4.5])  # 90 in all


def test_what_is_left_is_the_work_left_at_the_pace_so_far(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = SimpleNamespace(time=lambda: 1000.0)
    monkeypatch.setattr("pipeline.sweep.clock.time", now)
    clock = Clock(0.0).expecting([("a", 100.0), ("b", 300.0)], after=100.0)
    now.time = lambda: 1200.0
    # 200 s passed for the expected 100 s, both with 100 s more: a fifth of the whole 500 s.
    assert clock.left(["a"]) == pytest.approx((200 + 100) / (100 + 100) * 400)
    assert clock.left(["a", "b"]) == pytest.approx((200 + 100) / (400 + 100) * 100)
    twice = Clock(0.0).expecting([("a", 100.0), ("a", 300.0)], after=0.0)
    now.time = lambda: 1400.0
    assert twice.left(["a"]) == pytest.approx(200)


def test_the_estimate_of_a_sweep_has_the_time_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.sweep.clock.time", SimpleNamespace(time=lambda: 160.0))
    clock = Clock(started=100.0, earlier=40.0)
    assert clock.estimated() == {}
    expecting = clock.expecting([("a", 100.0), ("b", 300.0)], after=50.0)
    assert expecting.estimated() == {"sweep/estimated_seconds": 40 + 60 + 450}


def test_without_an_estimate_nothing_is_said_of_what_is_left() -> None:
    # A control ends in a second, and a trained point takes a minute.
    assert Clock(0.0, begun=100.0).left(["a", "b"]) == 0
