"""A run trains on so many of the labelled queries, or on all that there are."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.experiment import recipe
from pipeline.tracking import reader
from tests.conftest import BRIEF, Compose, Trained


@pytest.mark.slow
def test_more_queries_than_there_are_train_the_same_model(
    small: Compose,
    trained: Callable[[str], Trained],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    on_all = trained("colbert")
    config = small("arch=colbert", *BRIEF, "train.queries=1000")
    with caplog.at_level(logging.INFO, "pipeline"):
        run = recipe.run(config, tmp_path)
    assert "train.queries=1000: there are only 48" in caplog.text
    assert "train: done before" in caplog.text
    for run_id in (on_all.run_id, run):
        assert reader.read_run(config.tracking, run_id).metrics["train/queries"] == 48
