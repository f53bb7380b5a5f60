"""Latency of a point: measured, or that of one with the same architecture, base and lengths."""

import json
import logging
from dataclasses import asdict
from pathlib import Path

from pipeline.config import Config
from pipeline.evaluation import latency
from pipeline.experiment.shared import Shared
from pipeline.infra import model_files as weights
from pipeline.infra import provenance
from pipeline.infra.hardware import Hardware
from pipeline.infra.stage_cache import content_key, stage_output
from pipeline.protocols import Scorer

log = logging.getLogger(__name__)


def timings_of(
    config: Config, shared: Shared, scorer: Scorer | None, machine: Hardware, base: Path
) -> dict[str, float]:
    """Measured, or shared with a run of the same architecture, base, lengths and machine."""
    wanted = config.latency.queries + config.latency.warmup
    # In hash order: the queries of a data set often stand in an order that means something.
    queries = sorted(shared.dataset.test.queries, key=lambda q: content_key({"query": q}))[:wanted]
    if len(queries) < wanted:
        log.warning("latency: %d test queries, fewer than the %d asked for", len(queries), wanted)
    inputs = {
        "arch": asdict(config.arch),
        "base": asdict(config.base),
        # A name or a path may mean another model tomorrow.
        "weights": None if config.base.path == "none" else weights.content_hash(base),
        "index": shared.index_key,
        "machine": asdict(machine),
        "latency": asdict(config.latency),
        "rerank": asdict(config.rerank),
        "queries": queries,
        "code": provenance.code_version(),
    }

    def build(folder: Path) -> None:
        asked = [shared.dataset.test.queries[q] for q in queries]
        timings = latency.measure(
            asked, shared.table, shared.embedder, scorer, machine, config.latency
        )
        (folder / "latency.json").write_text(json.dumps(timings))

    folder = stage_output(Path(config.output_dir) / "cache", "latency", inputs, build)
    timings: dict[str, float] = json.loads((folder / "latency.json").read_text())
    return timings
