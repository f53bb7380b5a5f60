"""Data sets: one typed ``Dataset`` whatever the source, built once and then read from disk.

Sources are pydocs, gooaq, beir and labelled. ``corpus`` keeps passages on disk, ``splits`` has
what the sources share, ``judgments`` collects what is never a negative, ``stored`` is the format of
a built data set.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.config.datasets import (
    BeirConfig,
    DatasetConfig,
    GooaqConfig,
    LabelledConfig,
    PydocsConfig,
)
from pipeline.data import beir, gooaq, pydocs, stored
from pipeline.data.labelled import split as labelled
from pipeline.data.splits import Splits
from pipeline.infra.code_version import code_version
from pipeline.infra.stage_cache import StageCache, content_key
from pipeline.records import Dataset


class Source(NamedTuple):
    """How to make one kind of data set.

    ``inputs(config)`` is what determines the content. ``build(config, folder)`` writes
    ``folder/corpus``, and ``folder/train_corpus`` if it is another, and returns the splits.
    """

    inputs: Callable[[Any], dict[str, object]]
    build: Callable[[Any, Path], Splits]


log = logging.getLogger(__name__)

MUCH_LOST = 0.1  # share of the training queries dropped to keep splits apart that is a warning

SOURCES: dict[type[DatasetConfig], Source] = {
    PydocsConfig: Source(pydocs.inputs, pydocs.build),
    GooaqConfig: Source(gooaq.inputs, gooaq.build),
    BeirConfig: Source(beir.inputs, beir.build),
    LabelledConfig: Source(labelled.inputs, labelled.build),
}


def load(config: DatasetConfig, cache: StageCache) -> Dataset:
    """Load the data set of ``config``; build it in ``cache`` unless it is there.

    Corpora are memory-mapped; queries and judgments are in memory.

    Raises:
        InputError: the source is missing, unreachable, broken or too small for the limits.
    """

    def build(folder: Path) -> None:
        splits = SOURCES[type(config)].build(config, folder)
        stored.write(splits, folder)

    return stored.read(config.name, cache.get("dataset", _inputs(config), build))


def source_key(config: DatasetConfig) -> str:
    """Return 16 hex digits of what determines the content of the data set; build nothing.

    Raises:
        InputError: a file or package is missing.
    """
    return content_key(_inputs(config))


def _inputs(config: DatasetConfig) -> dict[str, object]:
    source = {
        key: value
        for key, value in SOURCES[type(config)].inputs(config).items()
        if key != "name"  # the same data may have another name
    }
    return {"code": code_version("dataset"), "source": source}


def warn_of_loss(dataset: Dataset) -> None:
    """Log a warning if keeping the splits apart costs much of the training queries."""
    given = dataset.given_train
    lost = given - dataset.kept_train
    if lost > MUCH_LOST * given:
        log.warning(
            "dataset %s: %d of %d training queries (%.0f%%) are dropped to keep the splits apart "
            "(dataset.disjoint)",
            dataset.name,
            lost,
            given,
            100 * lost / given,
        )


def sizes(dataset: Dataset) -> dict[str, int]:
    """Count passages and queries."""
    return {
        "corpus": len(dataset.corpus),
        "train_queries": len(dataset.train),
        "dev_queries": len(dataset.dev),
        "test_queries": len(dataset.test),
    }


def summary(dataset: Dataset) -> str:
    """Describe in one line how many passages and queries there are and what was dropped."""
    passages = f"{len(dataset.corpus)} passages"
    if dataset.train_corpus is not dataset.corpus:
        passages += f" (and {len(dataset.train_corpus)} to train on)"
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(dataset.dropped.items()))
    shared = len(dataset.trained_passage)
    note = f"; {shared} test queries share a relevant passage with training" if shared else ""
    return (
        f"dataset {dataset.name}: {passages}, {len(dataset.train)} train, {len(dataset.dev)} dev "
        f"and {len(dataset.test)} test queries; dropped: {reasons or 'nothing'}{note}"
    )
