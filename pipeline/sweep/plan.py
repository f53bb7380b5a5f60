"""Count the pairs and steps of a point from its configuration alone."""

from pipeline.config import Config
from pipeline.config.datasets import GooaqConfig
from pipeline.training.schedule import Schedule, plan


def planned(point: Config) -> Schedule | None:
    """The schedule of a point's training if every row is used.

    None where only the data can tell how many rows there are.
    """
    rows = training_rows(point)
    if rows is None:
        return None
    return plan(point.arch.loss, rows, rows, point.negatives, point.epochs, point.train)


def training_rows(point: Config) -> int | None:
    """Training rows at most; None where only the data can tell."""
    dataset = point.dataset
    rows = dataset.max_train_queries
    if isinstance(dataset, GooaqConfig):
        available = dataset.train_rows[1] - dataset.train_rows[0]
        rows = min(rows or available, available)
    limits = [limit for limit in (rows, point.train.queries) if limit is not None]
    return min(limits, default=None)
