"""Time the searches of one grid point, or find the timings in the stage cache.

Points of the same architecture, base, lengths and machine share their timings.
"""

import json
import logging
from dataclasses import asdict
from pathlib import Path

from pipeline.config import Config
from pipeline.evaluation import latency
from pipeline.experiment.shared import Shared
from pipeline.infra.code_version import code_version
from pipeline.infra.hardware import Hardware
from pipeline.infra.model_files import content_hash
from pipeline.infra.stage_cache import StageCache, content_key
from pipeline.protocols import Scorer

log = logging.getLogger(__name__)

FILE = "latency.json"


def measure(
    config: Config,
    shared: Shared,
    scorer: Scorer | None,
    machine: Hardware,
    base: Path,
    cache: StageCache,
) -> dict[str, float]:
    """The metrics ``latency/...`` of test queries, in milliseconds."""
    asked = config.latency.queries + config.latency.warmup
    # In hash order, as the order of queries in a data set often means something.
    texts = shared.dataset.test.queries
    queries = sorted(texts, key=lambda query: content_key({"query": query}))[:asked]
    if len(queries) < asked:
        log.warning("latency: only %d test queries instead of %d", len(queries), asked)
    inputs = {
        "arch": asdict(config.arch),
        "dedicated": config.base.dedicated,
        "base": None if config.base.path == "none" else content_hash(base),
        "index": shared.index_key,
        "machine": machine.scoring(),
        "latency": asdict(config.latency),
        "rerank": asdict(config.rerank),
        "queries": queries,
        "code": code_version("latency"),
    }

    def build(folder: Path) -> None:
        timings = latency.measure(
            [texts[query] for query in queries],
            shared.table,
            shared.embedder,
            scorer,
            machine,
            config.latency,
        )
        (folder / FILE).write_text(json.dumps(timings))

    folder = cache.get("latency", inputs, build)
    timings: dict[str, float] = json.loads((folder / FILE).read_text())
    return timings
