"""List what a grid would do: ``python -m pipeline plan experiment=report``."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.commands.arguments import Parser
from pipeline.config import Config

EPILOG = """\
Composes and checks every point, and prints its pairs and steps. Loads no data: rows are those that
the configuration names, before the splits are made disjoint. A ? stands where only the data can
tell. The time is the work by the speed of this machine, measured for some seconds for every kind of
point whose base is here, as if nothing were cached.

examples:
  python -m pipeline plan experiment=report
  python -m pipeline plan arch=colbert,cross_encoder negatives=1,2,3
"""


def main(words: Sequence[str]) -> None:
    """Print a table of the points of the grid that ``words`` describe.

    Raises:
        InputError, HydraException, OmegaConfBaseException: a point is not valid.
    """
    parser = Parser("plan", "List what a sweep would do, without doing it.", EPILOG)
    parser.add_overrides()
    overrides = parser.parse_args(words).overrides

    from rich.console import Console
    from rich.table import Table

    from pipeline.sweep.grid import Grid
    from pipeline.sweep.plan import planned

    grid = Grid(overrides)
    table = Table("#", "run", "start", "negatives", "epochs", "batch", "lr", "pairs", "steps")
    for column in table.columns[3:]:
        column.justify = "right"
    total = 0
    for number, point in enumerate(grid.points, start=1):
        row = [str(number), point.run_name, point.initialisation]
        if point.epochs == 0:
            row += ["-"] * 6
        else:
            schedule = planned(point)
            total += schedule.pairs if schedule else 0
            row += [
                str(point.negatives),
                str(point.epochs),
                str(point.train.batch_size),
                f"{point.train.learning_rate:g}",
                f"{schedule.pairs:,}" if schedule else "?",
                f"{schedule.steps:,}" if schedule else "?",
            ]
        table.add_row(*row)
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(table)
    points = f"{len(grid.points)} point{'s' * (len(grid.points) != 1)}"
    console.print(f"{points} on {grid.config.dataset.name}, {total:,} pairs at most")
    for line in _time(grid.points):
        console.print(line, highlight=False)


def _time(points: Sequence[Config]) -> Iterator[str]:
    """Say how much work there is, and how long it takes here if that can be told."""
    from pipeline.sweep import plan

    counted: set[str] = set()
    works = [plan.work(point, counted) for point in points]
    known = [work for work in works if work is not None]
    if len(known) < len(points):
        yield "time: ?, only the data can tell how much there is to train and to score"
        return
    trained, scored, served, _, encoded = map(sum, zip(*known, strict=True))
    stored = f"; {encoded:,} passages to encode" if encoded else ""
    yield f"{trained:,} pairs to train, {scored:,} to score, {served:,} to time{stored}"
    away = {point.base.name: None for point in points if not plan.is_here(point)}
    if away:
        yield f"time: ?, the speed of {', '.join(away)} is not known here (not local)"
        return
    yield "measuring how fast this machine trains and scores"

    from pipeline.infra import quiet
    from pipeline.infra.stage_cache import StageCache
    from pipeline.sweep.estimate import in_words, seconds

    quiet.silence()
    with TemporaryDirectory() as folder:
        cache = StageCache(Path(folder))
        ready = [plan.with_speed(p, w, cache) for p, w in zip(points, known, strict=True)]
        yield f"time: {in_words(seconds(ready))}, once data, index and negatives are made"
