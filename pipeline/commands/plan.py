"""What a grid would do: ``python -m pipeline plan experiment=report``.

Composes and checks every point and prints its pairs and steps; loads no data and no model.
Rows are those that the configuration names, before the splits are made disjoint.
"""

import os
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from pipeline.config import Config
from pipeline.config.datasets import GooaqConfig
from pipeline.infra.errors import exit_code
from pipeline.sweep.grid import Grid


def training_rows(config: Config) -> int | None:
    """Training rows at most, or None where only the data can tell."""
    dataset = config.dataset
    rows = dataset.max_train_queries
    if isinstance(dataset, GooaqConfig):
        available = dataset.train_rows[1] - dataset.train_rows[0]
        rows = min(rows or available, available)
    return rows


def show(overrides: Sequence[str]) -> None:
    """Print the table of points."""
    from pipeline.training.schedule import plan

    grid = Grid(overrides)
    table = Table("#", "run", "start", "negatives", "epochs", "batch", "lr", "pairs", "steps")
    for column in table.columns[3:]:
        column.justify = "right"
    total = 0
    for number, point in enumerate(grid.points, start=1):
        pairs = steps = "-"
        rows = training_rows(point)
        if point.epochs > 0 and rows is None:
            pairs = steps = "?"
        elif point.epochs > 0 and rows is not None:
            schedule = plan(point.arch.loss, rows, rows, point.negatives, point.epochs, point.train)
            pairs, steps = f"{schedule.pairs:,}", f"{schedule.steps:,}"
            total += schedule.pairs
        trained = point.epochs > 0
        table.add_row(
            *(str(number), point.run_name, point.initialisation),
            *((str(point.negatives), str(point.epochs)) if trained else ("-", "-")),
            *((str(point.train.batch_size), f"{point.train.learning_rate:g}") if trained else "--"),
            *(pairs, steps),
        )
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(table)
    console.print(
        f"{len(grid.points)} points on {grid.config.dataset.name}, {total:,} pairs at most"
    )


def main() -> None:
    """``python -m pipeline plan [overrides]``."""
    os.environ["HYDRA_FULL_ERROR"] = "1"
    sys.exit(exit_code(lambda: show(sys.argv[1:])))


if __name__ == "__main__":
    main()
