"""Open the stage cache of a point, and load its reranker."""

import time
from pathlib import Path

from pipeline.config import Config
from pipeline.infra.hardware import Hardware
from pipeline.infra.stage_cache import StageCache
from pipeline.protocols import Reranker
from pipeline.rerankers import load_reranker
from pipeline.tracking import reader

FORCED = ("model", "scores", "latency")  # the stages that force=true repeats


def open_cache(config: Config) -> StageCache:
    """The cache of the stage outputs; with ``force`` without older outputs of the point itself."""
    if not config.force:
        return StageCache.of(config)
    # Points of a sweep share latencies, so those that this sweep has measured are not too old.
    parent = config.tracking.parent_run_id
    since = reader.start_time(config.tracking, parent) if parent else time.time()
    return StageCache.of(config, FORCED, since)


def load(config: Config, folder: Path, machine: Hardware, trained: bool) -> Reranker | None:
    """The reranker in ``folder``: as it was saved, or a transformer with a new head."""
    return load_reranker(
        folder,
        config.arch,
        machine,
        config.eval.batch_size,
        seed=config.seed,
        dedicated=config.base.dedicated or trained,
    )
