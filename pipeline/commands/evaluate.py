"""Measure a model on held-out queries: ``python -m pipeline evaluate model=REF``."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING

from pipeline.commands.arguments import Parser, check_choice, model_of, own_keys
from pipeline.records import SEARCHES, InputError

if TYPE_CHECKING:
    from pipeline.config import Config
    from pipeline.experiment.head_to_head import Order, Task
    from pipeline.protocols import Scorer
    from pipeline.report.pair.difference import Difference
    from pipeline.report.pair.measured import Setting

EPILOG = """\
keys:
  model=REF        the model: a folder, run:RUN_NAME, models:/NAME@champion or a hub id
  baseline=REF     what it is compared with; without it the search alone (mode=retrieve)
  metric=ndcg_at_10   or hit_rate, mrr, recall at any cutoff of eval.top_k
  mode=auto        rerank: the labelled passages of each query; retrieve: search, then rerank;
                   auto: rerank if the data set has passages judged irrelevant
  search=vector    of the gate and the worst queries, in mode=retrieve: vector, fts or hybrid
  dataset=..., rerank.windows=..., any other key of the configuration

examples:
  python -m pipeline evaluate model=run:cross_encoder_minilm_l6_2neg_1ep
  python -m pipeline evaluate model=outputs/runs/X/model baseline=models:/pydocs@champion --json
  python -m pipeline evaluate model=run:NEW baseline=run:OLD --min-gain 0.05 search=hybrid
"""
METRIC = re.compile(r"(?:ndcg|hit_rate|mrr|recall)_at_([1-9]\d*)")
CHOICES = {"mode": ("auto", "rerank", "retrieve"), "search": SEARCHES}
OF_THE_MODEL = ("arch", "base", "negatives", "epochs", "train")


def main(words: Sequence[str]) -> None:
    """Measure the model that ``words`` name, print the result, and check the gate if there is one.

    Raises:
        InputError, HydraException, OmegaConfBaseException: a key, a model or the data is wrong.
        Refused: the gain is below ``--min-gain`` or not significant.
    """
    description = "Compare a reranker with another, or with no reranking, on held-out queries."
    parser = Parser("evaluate", description, EPILOG)
    parser.add_argument("words", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    parser.add_argument(
        "--min-gain",
        type=float,
        metavar="SHARE",
        help="exit with 1 unless (model - baseline) / baseline of the metric is at least this "
        "and p < 0.05; 0.05 is 5%%",
    )
    arguments = parser.parse_intermixed_args(words)
    evaluate(parse(arguments.words), arguments.min_gain, arguments.json)


@dataclass(frozen=True)
class Request:
    """The command line, checked before anything is loaded."""

    model: str
    baseline: str | None = None
    metric: str = "ndcg_at_10"
    mode: str = "auto"
    search: str | None = None
    overrides: list[str] = field(default_factory=list)

    @property
    def cutoff(self) -> int:
        """The k of the metric."""
        return int(self.metric.rsplit("_", 1)[1])


def parse(words: Sequence[str]) -> Request:
    """``KEY=VALUE`` words as a request; keys that are not its own are overrides.

    Raises:
        InputError: a value is wrong, model is missing, or a key can't apply here.
    """
    own, overrides = own_keys(words, ("model", "baseline", "metric", *CHOICES))
    for word in overrides:
        key, equals, _ = word.partition("=")
        if not equals:
            raise InputError(f"{word}: must be KEY=VALUE, as in model=run:NAME; see --help")
        if re.split(r"[.@]", key.lstrip("+~"))[0] in OF_THE_MODEL:
            raise InputError(f"{word}: the model determines {key}; leave it out")
    for key, values in CHOICES.items():
        if key in own:
            check_choice(key, own[key], values)
    metric = own.get("metric")
    if metric is not None and not METRIC.fullmatch(metric):
        raise InputError(
            f"metric={metric}: must be ndcg, hit_rate, mrr or recall, as in ndcg_at_10"
        )
    model_of(own)
    return Request(**own, overrides=overrides)


def evaluate(request: Request, min_gain: float | None, json: bool) -> None:
    """Measure, print, and raise if the gate was asked for and does not let the model through.

    Raises:
        InputError, HydraException, OmegaConfBaseException: a key, a model or the data is wrong.
        Refused: the gain is below ``min_gain`` or not significant.
    """
    if min_gain is not None and not isfinite(min_gain):
        raise InputError(f"--min-gain={min_gain}: must be a share, as 0.05 for 5%")

    from pipeline.config.compose import compose
    from pipeline.config.preflight import check_files

    config = compose([*request.overrides, "epochs=0"])
    check_files(config)
    task, models = _load(request, config, gated=min_gain is not None)

    from pipeline.experiment.head_to_head import LABELLED, measure, searches_alone
    from pipeline.report.pair.measured import as_json, gate
    from pipeline.report.pair.terminal import show

    search = LABELLED if task.mode == "rerank" else request.search or SEARCHES[0]
    orders = {key: measure(task, request.metric, model) for key, model in models.items()}
    if alone := searches_alone(task, request.metric):
        orders["alone"] = alone
    setting, difference = _compare(request, task, search, orders)
    (gated,) = (row for row in difference.rows if row.name == search)
    if json:
        print(as_json(difference, setting, gated, min_gain))
    else:
        show(difference)
    if min_gain is not None:
        gate(gated, request.metric, min_gain, setting.ranks_nothing)


def _load(request: Request, config: "Config", gated: bool) -> "tuple[Task, dict[str, Scorer]]":
    """Load the model and the baseline, if there is one, and make the task that both get.

    The models are loaded first, so that a folder without a reranker is reported at once.
    """
    from pipeline.experiment.head_to_head import make_task, without_seen
    from pipeline.experiment.saved_scorer import find_scorer
    from pipeline.infra import hardware, quiet
    from pipeline.infra.stage_cache import StageCache

    quiet.silence()
    cache = StageCache.of(config)
    machine = hardware.resolve(config.hardware)
    references = {"model": request.model, "baseline": request.baseline}
    found = {key: find_scorer(key, ref, config, cache) for key, ref in references.items() if ref}
    models = {key: scorer.load(config.rerank) for key, scorer in found.items()}
    task = make_task(config, machine, cache, request.mode, request.cutoff)
    if task.mode == "rerank" and request.search:
        raise InputError(f"search={request.search}: mode=rerank searches nothing, leave it out")
    if task.mode == "rerank" and gated and request.baseline is None:
        raise InputError("--min-gain: in mode=rerank it needs baseline=REF")
    return without_seen(task, {scorer.name: scorer.folder for scorer in found.values()}), models


def _compare(
    request: Request, task: "Task", search: str, orders: "Mapping[str, Mapping[str, Order]]"
) -> "tuple[Setting, Difference]":
    """Describe what was measured, and compare the model with the baseline or the search alone.

    ``orders`` are by "model", "baseline" and "alone", then by search. The worst queries are those
    of ``search``.
    """
    from pipeline.report.pair.difference import Texts
    from pipeline.report.pair.measured import Setting, differ, system

    systems = {
        key: system({name: order.values for name, order in of.items()}, of[search].ranking)
        for key, of in orders.items()
    }
    alone = systems.get("alone")
    setting = Setting(
        model=request.model,
        baseline=request.baseline or ("no reranking" if alone else None),
        dataset=task.dataset.name,
        fingerprint=task.dataset.fingerprint,
        mode=task.mode,
        metric=request.metric,
        queries=len(task.queries),
        ranks_nothing=tuple(key for key, of in orders.items() if of[search].ranks_nothing),
    )
    texts = Texts(task.queries, task.dataset.corpus, task.qrels)
    baseline = systems.get("baseline", alone)
    return setting, differ(setting, search, systems["model"], baseline, alone, texts)
