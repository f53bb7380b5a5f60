"""List what a grid would do: ``python -m pipeline plan experiment=report``."""

import sys
from collections.abc import Sequence

from pipeline.commands.arguments import Parser

EPILOG = """\
Composes and checks every point, and prints its pairs and steps. Loads no data and no model: rows
are those that the configuration names, before the splits are made disjoint. A ? stands where only
the data can tell.

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
