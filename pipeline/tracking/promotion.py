"""Promotion: the champion is replaced by a model that beats it on the same candidates."""

from pipeline.config.stages import TrackingConfig
from pipeline.evaluation.significance import LEVEL, paired_difference
from pipeline.infra.stage_cache import StageCache
from pipeline.records import FIRST_STAGE, Refused
from pipeline.tracking import artifacts, reader, references, registry
from pipeline.tracking.reader import RunRecord
from pipeline.tracking.registry import ModelVersion

COLUMN, MEASURE = "vector_reranked", "ndcg_at_10"
SAME_CANDIDATES = ("data.fingerprint", *FIRST_STAGE, "eval.overfetch", "eval.depth")
"""Params on which two runs agree if they have reranked the same candidates."""
ANYWAY = "force=true promotes it all the same"


def promote(
    config: TrackingConfig, cache: StageCache, run_name: str, name: str = "", force: bool = False
) -> str:
    """Make a run's model the champion of ``name``; return one line that says what happened.

    ``run_name`` is the name of a run, its id, or ``models:/NAME/VERSION``. ``name`` is that of the
    run's data set if it is empty. With ``force`` the model is not compared with the champion.

    Raises:
        InputError: there is no such run, it has no model, or the name can't be a model's.
        Refused: the run does not beat the champion, or can't be compared with it.
    """
    run = references.find_model(config, run_name)
    folder = references.model_folder(config, run, cache)
    name = name or run.tags.get("dataset", "")
    current = registry.champion(config, name)
    if current is not None and current.run_id == run.run_id:
        return f"{run.name} is the champion already: models:/{name}/{current.version}"
    if force:
        why = "forced"
    elif current is None:
        why = "the first"
    else:
        why = _compared(config, run, current)
    version = registry.promote(config, run, folder, name)
    return f"{run.name} is models:/{name}@champion, version {version.version} ({why})"


def _compared(config: TrackingConfig, run: RunRecord, current: ModelVersion) -> str:
    """The figures by which the run beats the champion.

    Raises:
        Refused: it does not, the difference may be chance, or the two can't be compared.
    """
    champion = reader.find_run(config, current.run_id)
    title = f"the champion models:/{current.name}/{current.version} ({champion.name})"
    for key in SAME_CANDIDATES:
        ours, theirs = run.params.get(key), champion.params.get(key)
        if ours != theirs:
            values = f"{key} is {ours} and {theirs}"
            raise Refused(f"{run.name} and {title} can't be compared: {values}; {ANYWAY}")
    metric = f"{COLUMN}/{MEASURE}"
    if metric not in run.metrics or metric not in champion.metrics:
        raise Refused(f"{run.name} or {title} has no {metric}; {ANYWAY}")
    new, old = run.metrics[metric], champion.metrics[metric]
    figures = f"{metric} {new:.4f} against {old:.4f}"
    p_value = _p_value(config, run, champion)
    if p_value is not None:
        figures += f", p = {p_value:.4f}"
    if new <= old or (p_value is not None and p_value >= LEVEL):
        raise Refused(f"{run.name} does not beat {title}: {figures}; {ANYWAY}")
    return figures


def _p_value(config: TrackingConfig, run: RunRecord, champion: RunRecord) -> float | None:
    """Of the paired difference over queries; None if a run has no values per query."""
    ours, theirs = (artifacts.read_per_query(config, r.run_id) for r in (run, champion))
    if COLUMN not in ours or COLUMN not in theirs:
        return None
    return paired_difference(ours[COLUMN][MEASURE], theirs[COLUMN][MEASURE]).p_value
