"""Show the points of a planned grid, and how long they take, on the terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from pipeline.experiment.work import Work
from pipeline.sweep.estimate import Seconds, in_words
from pipeline.sweep.plan import Planned
from pipeline.sweep.planned_work import model_key


def show_points(console: Console, planned: Planned) -> None:
    """Print a table of the points: how each is trained, its pairs and its steps."""
    points, schedules = planned.points, planned.schedules
    table = Table("#", "run", "start", "negatives", "epochs", "batch", "lr", "pairs", "steps")
    for column in table.columns[3:]:
        column.justify = "right"
    for number, (point, schedule) in enumerate(zip(points, schedules, strict=True), start=1):
        row = [str(number), point.run_name, point.initialisation]
        if point.epochs == 0:
            row += ["-"] * 6
        else:
            row += [
                str(point.negatives),
                str(point.epochs),
                str(point.train.batch_size),
                f"{point.train.learning_rate:g}",
                f"{schedule.pairs:,}" if schedule else "?",
                f"{schedule.steps:,}" if schedule else "?",
            ]
        table.add_row(*row)
    console.print(table)
    named = zip(map(model_key, points), schedules, strict=True)
    total = sum({key: schedule.pairs for key, schedule in named if schedule}.values())
    counted = f"{len(points)} point{'s' * (len(points) != 1)}"
    unknown = any(s is None for p, s in zip(points, schedules, strict=True) if p.epochs > 0)
    pairs = "pairs as the data has them" if unknown else f"{total:,} pairs at most"
    console.print(f"{counted} on {points[0].dataset.name}, {pairs}")


def show_time(console: Console, planned: Planned, seconds: Sequence[Seconds] | None) -> None:
    """Print how much work there is, and how long it takes here or why that is not known."""
    known = [work for work in planned.works if work is not None]
    if len(known) == len(planned.works):
        whole = Work(*map(sum, zip(*known, strict=True)))
        stored = f"; {whole.encoded:,} passages to encode" if whole.encoded else ""
        console.print(
            f"{whole.trained:,} pairs to train, {whole.to_score:,} to score, "
            f"{whole.served:,} to time{stored}",
            highlight=False,
        )
    time = f"?, {planned.unknown}"
    if seconds is not None:
        time = f"{in_words(seconds)}, once data, index and negatives are made"
    console.print(f"time: {time}", highlight=False)
