"""Promotion: the champion is replaced by a system that beats it on the same candidates."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from pipeline.config.stages import TrackingConfig
from pipeline.evaluation.significance import LEVEL, paired_difference
from pipeline.infra.stage_cache import StageCache
from pipeline.records import Refused
from pipeline.tracking import artifacts, reader, references, registry
from pipeline.tracking.reader import RunRecord
from pipeline.tracking.registry import ModelVersion
from pipeline.tracking.search_params import SEARCH_PARAMS

MEASURE = "ndcg"
SAME_CANDIDATES = ("data.fingerprint", *SEARCH_PARAMS, "eval.overfetch", "eval.depth")
"""Params on which two runs agree if they have reranked the same candidates."""
ANYWAY = "force=true promotes it all the same"


@dataclass(frozen=True)
class ServedAs:
    """How a model is served: over which search, with which order, and for how many results."""

    search: str = "vector"
    order: str = "reranked"  # or fused
    cutoff: int = 10

    @property
    def column(self) -> str:
        """Return ``vector_reranked``."""
        return f"{self.search}_{self.order}"

    @property
    def metric(self) -> str:
        """Return ``ndcg_at_10``, by which the system is judged."""
        return f"{MEASURE}_at_{self.cutoff}"

    def __str__(self) -> str:
        """Return ``vector_reranked/ndcg_at_10``."""
        return f"{self.column}/{self.metric}"

    @property
    def tags(self) -> dict[str, str]:
        """What is recorded on the version of the model."""
        return {"search": self.search, "order": self.order, "cutoff": str(self.cutoff)}

    @classmethod
    def of(cls, version: ModelVersion) -> "ServedAs":
        """Read the system of a version; earlier releases judged the default and recorded none."""
        tags = version.tags
        if "cutoff" not in tags:
            return cls()
        return cls(tags["search"], tags["order"], int(tags["cutoff"]))


def promote(
    config: TrackingConfig,
    cache: StageCache,
    run_name: str,
    system: ServedAs,
    name: str = "",
    force: bool = False,
) -> str:
    """Make a run's model the champion of ``name``; return one line that says what happened.

    ``run_name`` is the name of a run, its id, or ``models:/NAME/VERSION``. ``system`` is what will
    be served. ``name`` is that of the run's data set if it is empty. With ``force`` the system is
    not compared with the champion's.

    Raises:
        InputError: there is no such run, it has no model, or the name can't be a model's.
        Refused: the system does not beat the champion's, or can't be compared with it; a first
            champion is worse than its search alone; or the model ranks nothing.
    """
    run = references.find_model(config, run_name)
    folder = references.model_folder(config, run, cache)
    name = name or run.tags.get("dataset", "")
    current = registry.champion(config, name)
    if current is not None and current.run_id == run.run_id and ServedAs.of(current) == system:
        return f"{run.name} is the champion already: models:/{name}/{current.version}"
    if force:
        why = "forced"
    else:
        if reason := run.tags.get("collapsed"):
            raise Refused(f"{run.name}: {reason}; {ANYWAY}")
        values = _values(config, run, system)
        if current is None:
            _check_first(config, run, system, values)
        why = "the first" if current is None else _compared(config, run, system, values, current)
    weight = run.metrics.get(f"{system.column}/weight_at_{system.cutoff}")
    tags = system.tags | ({} if weight is None else {"fusion_weight": f"{weight:g}"})
    version = registry.promote(config, run, folder, name, tags)
    return f"{run.name} is models:/{name}@champion, version {version.version}, {system} ({why})"


def _check_first(
    config: TrackingConfig, run: RunRecord, system: ServedAs, values: Mapping[str, float]
) -> None:
    """Check that a first champion is not worse than its search alone, beyond chance.

    Raises:
        Refused: it is.
    """
    alone = artifacts.read_per_query(config, run.run_id).get(system.search, {}).get(system.metric)
    if not alone or alone.keys() != values.keys():
        return
    difference = paired_difference(values, alone)
    if difference.mean < 0 and difference.p_value < LEVEL:
        new, old = fmean(values.values()), fmean(alone.values())
        figures = f"{system} {new:.4f} against {old:.4f}, p = {difference.p_value:.4f}"
        raise Refused(f"{run.name} is worse than {system.search} search alone: {figures}; {ANYWAY}")


def _compared(
    config: TrackingConfig,
    run: RunRecord,
    system: ServedAs,
    values: Mapping[str, float],
    current: ModelVersion,
) -> str:
    """Return the figures by which the system beats the champion's own.

    Raises:
        Refused: it does not, the difference may be chance, or the two can't be compared.
    """
    champion, theirs = reader.find_run(config, current.run_id), ServedAs.of(current)
    title = f"the champion models:/{current.name}/{current.version} ({champion.name}, {theirs})"
    differing = [
        f"{key} is {run.params.get(key)} and {champion.params.get(key)}"
        for key in SAME_CANDIDATES
        if run.params.get(key) != champion.params.get(key)
    ]
    if system.cutoff != theirs.cutoff:
        differing.append(f"cutoff is {system.cutoff} and {theirs.cutoff}")
    base = _values(config, champion, theirs)
    if not differing and values.keys() != base.keys():
        differing.append("their queries are not the same")
    if differing:
        raise Refused(f"{run.name} and {title} can't be compared: {differing[0]}; {ANYWAY}")
    difference = paired_difference(values, base)
    new, old = fmean(values.values()), fmean(base.values())
    figures = f"{system} {new:.4f} against {theirs} {old:.4f}, p = {difference.p_value:.4f}"
    if new <= old or difference.p_value >= LEVEL:
        raise Refused(f"{run.name} does not beat {title}: {figures}; {ANYWAY}")
    return figures


def _values(config: TrackingConfig, run: RunRecord, system: ServedAs) -> Mapping[str, float]:
    """Return query id -> value of the system.

    Raises:
        Refused: the run has none, so that it can't be tested.
    """
    of_column = artifacts.read_per_query(config, run.run_id).get(system.column, {})
    if not of_column.get(system.metric):
        raise Refused(
            f"{run.name} has no values per query of {system}, so it can't be tested; {ANYWAY}"
        )
    return of_column[system.metric]
