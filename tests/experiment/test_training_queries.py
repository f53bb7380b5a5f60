"""A run trains on so many of the labelled queries, or on all that there are."""

import pytest

from pipeline.experiment.model import train_cached
from pipeline.experiment.shared import Shared
from pipeline.experiment.start import Start
from pipeline.infra.distributed import leading
from pipeline.infra.stage_cache import StageCache
from pipeline.tracking import writer
from tests.conftest import Compose
from tests.points import BRIEF


@pytest.mark.slow
def test_a_run_logs_the_queries_that_it_trained_on(
    small: Compose, shared: Shared, caplog: pytest.LogCaptureFixture
) -> None:
    for asked, seen in ((20, 20), (1000, 48)):
        words = ("arch=colbert", *BRIEF, f"train.queries={asked}", "train.max_steps=1")
        config = small(*words)
        start = Start.of(config, StageCache.of(config), shared)
        with writer.run(config.tracking, "run", {"kind": "point"}) as run, leading() as leader:
            _, metrics = train_cached(start, run, leader)
        assert metrics["train/queries"] == seen
        assert (f"train.queries={asked}: there are only 48" in caplog.text) == (asked > seen)
