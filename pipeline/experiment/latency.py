"""Time the searches of a point, or find the timings in the stage cache.

A single run is timed at its end. The points of a sweep are timed after its last one, one by one,
because neighbours that train would slow them down.

Points of the same architecture, base, lengths and machine share their timings. The base is timed
and not the trained model: a reranker takes as long whatever its weights are.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from pipeline.config import Config
from pipeline.evaluation import callers, latency
from pipeline.experiment import model, token_vectors
from pipeline.experiment.record import machine_of
from pipeline.experiment.resources import load, open_cache
from pipeline.experiment.shared import Shared, prepare_shared, shared_key
from pipeline.experiment.start import Start
from pipeline.infra import hardware
from pipeline.infra.code_version import code_version
from pipeline.infra.console import own_line
from pipeline.infra.errors import one_line
from pipeline.infra.hardware import Hardware
from pipeline.infra.model_files import content_hash
from pipeline.infra.steps import step
from pipeline.protocols import Scorer
from pipeline.retrieval.ties import tie_key
from pipeline.tracking import reader, writer

log = logging.getLogger(__name__)

FILE = "latency.json"


def measure(start: Start, trained_on: Hardware) -> dict[str, float]:
    """The metrics ``latency/...`` of test queries, in milliseconds.

    ``trained_on`` is the machine on which the point was trained and scored; its model and its
    stored vectors are found by it.

    Raises:
        RuntimeError: the point's trained model is no longer in the cache.
    """
    config, shared = start.config, start.shared
    queries = _queries(config, shared)

    def build(folder: Path) -> None:
        stack = latency.Stack(
            table=shared.table.table,
            search_depth=config.search_depth,
            rrf_k=config.eval.rrf_k,
            embedder=shared.embedder,
            reranker=_scorer(start, trained_on),
            hardware=start.machine,
        )
        timings = latency.measure(queries, stack, config.latency)
        if config.latency.callers > 1:
            timings |= callers.measure(queries, stack, config.latency, config.eval.batch_size)
        (folder / FILE).write_text(json.dumps(timings))

    folder = start.cache.get("latency", inputs(start), build)
    timings: dict[str, float] = json.loads((folder / FILE).read_text())
    return timings


def inputs(start: Start) -> dict[str, object]:
    """What determines the timings, for the key of the stage output: all that ``measure`` reads."""
    config, shared = start.config, start.shared
    reranker = None
    if config.arch.name != "none":
        reranker = {
            "base": content_hash(start.base),
            "dedicated": config.base.dedicated,
            "arch": config.arch.in_use(),
            "batch_size": config.eval.batch_size,
            "rerank": asdict(config.rerank),
        }
    settings = asdict(config.latency)
    del settings["enabled"]
    return {
        "queries": _queries(config, shared),
        "index": shared.index_key,  # and so the embedder
        "search_depth": config.search_depth,
        "rrf_k": config.eval.rrf_k,
        "reranker": reranker,
        "machine": start.machine.scoring(),
        "latency": settings,
        "code": code_version("latency"),
    }


def tags(machine: Hardware) -> dict[str, str]:
    """Tags that say on what machine a run was timed, which may not be the one it trained on."""
    return {f"latency.{name}": str(value) for name, value in machine.scoring().items()}


def time_recorded(points: Mapping[str, Config]) -> None:
    """Time points one by one and log the timings to their runs; ``points`` is by run id.

    The runs have ended already. A point whose timing fails does not keep the others from theirs.

    Raises:
        RuntimeError: some timings failed; it names the points and the reasons.
    """
    log.info("latency: %d points are timed one by one", len(points))
    prepared: dict[str, Shared] = {}
    failed = []
    for run_id, config in points.items():
        run, spent = writer.reopen(config.tracking, run_id), dict[str, float]()
        try:
            with own_line(config.run_name), step("latency", spent):
                _time_recorded(config, prepared, run)
        except Exception as error:
            log.debug("%s: the timing failed", config.run_name, exc_info=True)
            failed.append(f"{config.run_name}: {one_line(error)}")
        run.log_seconds(spent)
    if failed:
        raise RuntimeError("; ".join(failed))


def _time_recorded(config: Config, prepared: dict[str, Shared], run: writer.ActiveRun) -> None:
    """Time one point; ``prepared`` keeps what points with the same search share."""
    cache, machine = open_cache(config), hardware.resolve(config.hardware)
    # What the model was trained on is only needed to find the model, whose vectors are stored.
    needed = config if config.rerank.vectors != "none" else replace(config, epochs=0)
    key = shared_key(needed)
    if key not in prepared:
        prepared[key] = prepare_shared(needed, machine, cache)
    start = Start.of(config, cache, prepared[key])
    recorded = reader.read_run(config.tracking, run.run_id)
    timings = measure(start, machine_of(recorded.params))
    run.log_stages(name for name in cache.used if name.startswith("latency/"))
    run.log_tags(tags(start.machine))
    run.log_metrics(timings)


def _scorer(start: Start, trained_on: Hardware) -> Scorer | None:
    """The reranker with random new layers, or the trained one if its token vectors are stored."""
    config, folder = start.config, start.base
    as_trained = replace(start, machine=trained_on)
    if config.rerank.vectors != "none" and config.epochs > 0:
        _, trained = model.find_trained(as_trained)
        if trained is None:  # The base's vectors would be encoded in place of the model's.
            raise RuntimeError(
                f"{config.run_name}: its trained model is not in the stage cache, so its stored "
                "vectors can't be timed; run the point again"
            )
        folder = trained
    reranker = load(config, folder, start.machine, trained=folder != start.base)
    if reranker is None:
        return None
    return token_vectors.served(as_trained, reranker, folder)[0]


def _queries(config: Config, shared: Shared) -> list[str]:
    """The texts of the test queries to time and to warm up with."""
    # In the order of a hash, as that of the queries in a data set often means something.
    texts = sorted(shared.dataset.test.queries.values(), key=tie_key)
    return texts[: config.latency.queries + config.latency.warmup]
