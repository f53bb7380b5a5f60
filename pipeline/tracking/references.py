"""Locate models by the names that this project gives them: a run, or a promoted version.

    run:cross_encoder_minilm_l6_2neg_1ep   the newest finished run of that name
    run:0123456789abcdef0123456789abcdef   the run with that id
    models:/NAME@champion                  a version in the registry by its alias
    models:/NAME/3                         or by its number

The model is in the folder where the run left it. On another machine, or when that folder is gone,
the copy is used that promotion uploaded to the run's artifacts.
"""

from pathlib import Path

from pipeline.config.saved_models import MODEL
from pipeline.config.stages import TrackingConfig
from pipeline.infra import model_files
from pipeline.infra.stage_cache import StageCache
from pipeline.records import InputError
from pipeline.tracking.reader import RunRecord, find_run
from pipeline.tracking.registry import find_version
from pipeline.tracking.store import contact
from pipeline.tracking.writer import MODEL_FOLDER

RUN = "run:"
REGISTERED = "models:/"
FORMS = "a hub id, a folder, run:NAME, models:/NAME@ALIAS or package:MODULE"


def locate(key: str, name: str, config: TrackingConfig, cache: StageCache) -> Path:
    """The local folder of a model, downloaded first if necessary.

    ``name`` is a reference, or anything that ``model_files.locate`` takes. ``key`` is the
    configuration key that holds it, for error messages.

    Raises:
        InputError: there is no such model, or its store or the hub can't be reached.
    """
    if is_reference(name):
        return model_folder(config, find_model(config, name), cache)
    return model_files.locate(key, name, FORMS)


def is_reference(name: str) -> bool:
    """Whether ``name`` is one of the forms above."""
    return name.startswith((RUN, REGISTERED))


def find_model(config: TrackingConfig, reference: str) -> RunRecord:
    """The finished run that made the model.

    Raises:
        InputError: there is no such run, model, alias or version; says what there is.
    """
    if reference.startswith(REGISTERED):
        return find_run(config, find_version(config, reference).run_id)
    return find_run(config, reference)


def model_folder(config: TrackingConfig, run: RunRecord, cache: StageCache) -> Path:
    """The local folder of the run's model; artifacts of a server are kept in ``cache``.

    Raises:
        InputError: the run has no model, or no copy of it can be read from here.
    """
    folder = run.tags.get(MODEL_FOLDER)
    if folder is None:
        why = "has no model" if run.tags.get("arch") == "none" else "recorded no model's folder"
        raise InputError(f"run:{run.name}: {why} (run id {run.run_id})")
    if Path(folder, "config.json").is_file():
        return Path(folder)
    with contact(config) as client:
        if MODEL not in {file.path for file in client.list_artifacts(run.run_id)}:
            raise InputError(
                f"run:{run.name}: its model is not in {folder} any more and was never promoted, "
                "so there is no copy in the tracking store"
            )
        beside_us = client.get_run(run.run_id).info.artifact_uri.startswith("file:")
    if beside_us:
        return Path(client.download_artifacts(run.run_id, MODEL))  # in place, nothing is copied

    def download(into: Path) -> None:
        client.download_artifacts(run.run_id, MODEL, str(into))

    return cache.get("downloaded", {"run": run.run_id}, download) / MODEL
