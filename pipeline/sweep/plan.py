"""Plan a grid: count what its points do and cost, and measure how long they take here."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.config import Config
from pipeline.experiment.work import Work
from pipeline.infra.stage_cache import StageCache
from pipeline.sweep import cost, planned_work
from pipeline.sweep.cost import Cost
from pipeline.sweep.estimate import Seconds, seconds
from pipeline.sweep.sizes import LARGE, read_sizes, too_large
from pipeline.training.schedule import Schedule


@dataclass(frozen=True)
class Planned:
    """The points of a grid with what each does and costs; None where only the data can tell.

    ``unknown`` says why the time on this machine can't be measured; "" if it can.
    """

    points: Sequence[Config]
    schedules: Sequence[Schedule | None]
    works: Sequence[Work | None]
    costs: Sequence[Cost]
    total: Cost
    unknown: str


def plan_grid(points: Sequence[Config]) -> Planned:
    """Count what the points do and cost; the files of a data set of one's own are read.

    Raises:
        InputError: a data set or a base can't be read.
    """
    points = read_sizes(points)
    schedules = [
        planned_work.full_schedule(point) if point.epochs > 0 else None for point in points
    ]
    works = planned_work.works(points)
    costs = cost.of_grid(points, works)
    return Planned(points, schedules, works, costs, cost.total(costs), _unknown(points, works))


def measure(planned: Planned) -> list[Seconds] | None:
    """Measure how long each point takes on this machine; None where that is not known.

    Raises:
        InputError: a base can't be used.
    """
    if planned.unknown:
        return None
    works = [work for work in planned.works if work is not None]
    points = zip(planned.points, works, strict=True)
    with TemporaryDirectory() as folder:
        cache = StageCache(Path(folder))
        return seconds([planned_work.with_speed(point, work, cache) for point, work in points])


def _unknown(points: Sequence[Config], works: Sequence[Work | None]) -> str:
    """Why the time on this machine is not known; "" if it can be measured."""
    datasets = [d for p in points for d in (p.dataset, p.forgetting.dataset) if d is not None]
    if large := {dataset.name: None for dataset in datasets if too_large(dataset)}:
        return f"only a run reads {', '.join(large)}, with more than {LARGE / 1e6:.0f} MB"
    if None in works:
        return "only the data can tell how much there is to train and to score"
    away = {point.base.name: None for point in points if not planned_work.is_here(point)}
    return f"the speed of {', '.join(away)} is not known here (not local)" if away else ""
