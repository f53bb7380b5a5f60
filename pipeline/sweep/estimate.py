"""Estimate how long points take: their counted work by the speed that is measured here."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from pipeline.config import Config
from pipeline.config.models import ColbertConfig
from pipeline.experiment.resources import open_cache
from pipeline.experiment.shared import Shared
from pipeline.experiment.speed import Sample, Speed, measure, sample
from pipeline.experiment.start import Start
from pipeline.experiment.work import Work, count
from pipeline.infra.errors import one_line
from pipeline.infra.hardware import Hardware
from pipeline.sweep.clock import Clock, duration
from pipeline.sweep.grid import Grid
from pipeline.sweep.latency import elsewhere
from pipeline.sweep.launch import at_once

log = logging.getLogger("pipeline")

LITTLE = 10_000  # pairs: fewer are done before an estimate would help
SEARCH = 0.03  # seconds of a search of one query
TRAINER = 5.0  # seconds in which a training starts and saves its model
TIMER = 2.0  # seconds in which a timing loads its model
REST = 5.0  # seconds in which a point loads, evaluates and records


class Seconds(NamedTuple):
    """The estimated seconds of a point, by step."""

    train: float
    score: float
    time: float
    rest: float


@dataclass(frozen=True)
class Counted:
    """A point with its work, and what its speed is measured with."""

    config: Config
    base: Path
    machine: Hardware
    work: Work
    texts: Callable[[], Sample]

    @property
    def kind(self) -> str:
        """The same for points that score at the same speed per pair.

        Passages are encoded at the same speed to be scored and to be stored.
        """
        config = self.config
        scoring = (config.eval.batch_size, config.rerank.windows, config.hardware)
        return str((config.dataset, config.base, config.arch, scoring))

    @property
    def training(self) -> str:
        """The same for points of a kind that train at the same speed per pair.

        With more negatives a ColBERT reads a query, and mnrl passages of other rows, for more
        pairs. Of other losses a pair takes as long.
        """
        config, train = self.config, self.config.train
        steps = (train.batch_size, train.gradient_accumulation, train.lora_rank, train.dropout)
        shares = isinstance(config.arch, ColbertConfig) or config.arch.loss == "mnrl"
        return str((steps, config.negatives if shares else None))


def expect(clock: Clock, grid: Grid, ready: Sequence[tuple[Config, Shared]]) -> Clock:
    """Log how long the points will take, and begin them on the clock.

    ``ready`` has each point with what it shares. There is no estimate if the points run on other
    machines, if they have hardly any work, or if it fails.
    """
    estimated: list[Seconds] = []
    if not elsewhere(grid):
        try:
            estimated = of_sweep(ready)
        except Exception as error:  # The points themselves report what is wrong.
            log.debug("no estimate", exc_info=True)
            log.warning("how long the points take is not known: %s", one_line(error))
    if estimated:
        log.info("the points take %s", in_words(estimated))
    names = [point.run_name for point, _ in ready]
    before_timing = [sum(seconds) - seconds.time for seconds in estimated]
    if estimated and (gpus := gpus_at_once(grid, len(ready))) > 1:
        before_timing = side_by_side(before_timing, gpus)
        log.info("on %d GPUs at once: about %s", gpus, duration(sum(before_timing)))
    after = sum(seconds.time for seconds in estimated)
    return clock.expecting(list(zip(names, before_timing, strict=False)), after)


def gpus_at_once(grid: Grid, points: int) -> int:
    """Count the GPUs that compute at the same time; 1 without a GPU.

    Points that share a GPU, or the cores of the machine, are taken to be as slow as one by one.
    """
    if grid.config.fail_fast or grid.config.hardware.device not in ("auto", "cuda"):
        return 1
    beside = at_once(grid.master, len(grid.points))
    return max(1, min(beside, points, torch.cuda.device_count()))


def side_by_side(seconds: Sequence[float], places: int) -> list[float]:
    """Divide the seconds of the points by ``places``, but not below the longest in their sum."""
    whole = sum(seconds)
    share = max(whole / places, max(seconds)) / whole
    return [share * one for one in seconds]


def of_sweep(ready: Sequence[tuple[Config, Shared]]) -> list[Seconds]:
    """Estimate every point from the data; empty if the points have hardly any work."""
    counted: set[str] = set()
    points = [_counted(point, shared, counted) for point, shared in ready]
    pairs = sum(p.work.trained + p.work.to_score + p.work.encoded + p.work.served for p in points)
    if pairs < LITTLE:
        return []
    log.info("measuring how fast this machine trains and scores")
    return seconds(points)


def _counted(config: Config, shared: Shared, counted: set[str]) -> Counted:
    start = Start.of(config, open_cache(config), shared)
    work = count(start, counted)
    return Counted(
        start.config, start.base, start.machine, work, lambda: sample(start.config, shared)
    )


def seconds(points: Sequence[Counted]) -> list[Seconds]:
    """Measure each kind of point and of training once, and estimate every point by its work."""
    kinds: dict[str, list[Counted]] = {}
    for point in points:
        kinds.setdefault(point.kind, []).append(point)
    speeds: dict[str, Speed] = {}
    trainings: dict[tuple[str, str], float] = {}  # seconds per pair
    for kind, members in kinds.items():
        most = Work(*map(max, zip(*(point.work for point in members), strict=True)))
        first = max(members, key=lambda point: point.work.trained)
        speeds[kind] = _measured(first, most)
        trainings[kind, first.training] = speeds[kind].train
        for point in members:
            if point.work.trained and (kind, point.training) not in trainings:
                measured = _measured(point, Work(trained=point.work.trained))
                trainings[kind, point.training] = measured.train
    return [
        of_point(
            point.work,
            speeds[point.kind]._replace(train=trainings.get((point.kind, point.training), 0.0)),
        )
        for point in points
    ]


def _measured(point: Counted, work: Work) -> Speed:
    return measure(point.config, point.base, point.machine, work, point.texts())


def of_point(work: Work, speed: Speed) -> Seconds:
    """Multiply the work of a point by the speed, and add what every step takes to start."""
    return Seconds(
        train=work.trained * speed.train + TRAINER * bool(work.trained),
        score=work.to_score * speed.score + work.encoded * speed.serve,
        time=(
            work.served * speed.serve
            + work.searched * SEARCH
            + work.called
            + TIMER * bool(work.searched)
        ),
        rest=REST,
    )


def in_words(points: Sequence[Seconds]) -> str:
    """``about 24 min: 11 min to train, 9 min to score, 2 min to time, 2 min for the rest``."""
    parts = [sum(part) for part in zip(*points, strict=True)]
    names = ("to train", "to score", "to time", "for the rest")
    named = [f"{duration(s)} {name}" for s, name in zip(parts, names, strict=True) if s > 0]
    return f"about {duration(sum(parts))}: {', '.join(named)}"
