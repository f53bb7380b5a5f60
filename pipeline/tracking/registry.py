"""Register promoted models in MLflow, find their versions, and set the alias ``champion``."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from pipeline.config.saved_models import MODEL
from pipeline.config.stages import TrackingConfig
from pipeline.infra.redact import mask
from pipeline.records import InputError
from pipeline.tracking.reader import RunRecord
from pipeline.tracking.store import contact, every

UPLOADED = "model_uploaded"  # tag of a run whose folder MODEL is complete
CHAMPION = "champion"
PAGE = 100  # models or versions fetched at a time
NAME = re.compile(r"[\w .-]+")
REFERENCE = re.compile(r"models:/([^/@:]+)(?:@([^/@]+)|/(\d+))")
MISSING = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # second: a missing alias


class ModelVersion(NamedTuple):
    """One version of a registered model, the run that trained it, and what was recorded of it."""

    name: str
    version: str
    run_id: str
    tags: dict[str, str]


def find_version(config: TrackingConfig, reference: str) -> ModelVersion:
    """Return the version for ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION``.

    Raises:
        InputError: there is none; the message lists the models, aliases or versions.
    """
    matched = REFERENCE.fullmatch(reference)
    if matched is None:
        raise InputError(f"{reference}: must be models:/NAME@ALIAS or models:/NAME/VERSION")
    name, alias, version = matched.groups()
    with contact(config) as client:
        try:
            if alias:
                found = client.get_model_version_by_alias(name, alias)
            else:
                found = client.get_model_version(name, version)
        except MlflowException as error:
            if error.error_code not in MISSING:
                raise
            raise InputError(
                f"{reference}: not in the registry of {mask(config.uri)}; "
                f"there is {_registered(client, name)}"
            ) from error
    return _version(found)


def champion(config: TrackingConfig, name: str) -> ModelVersion | None:
    """Return the version of ``name`` with the alias champion, if there is one."""
    with contact(config) as client:
        try:
            return _version(client.get_model_version_by_alias(name, CHAMPION))
        except MlflowException as error:
            if error.error_code not in MISSING:
                raise
            return None


def promote(
    config: TrackingConfig, run: RunRecord, folder: Path, name: str, tags: Mapping[str, str]
) -> ModelVersion:
    """Store ``folder`` with the run, register it as a version of ``name``, make it champion.

    ``tags`` are recorded on the version. Artifacts that were stored in full, and an existing
    version of the same run with these tags, are kept. The alias moves last, so it never points to
    an incomplete model.

    Raises:
        InputError: the address can't be used, or ``name`` is no valid name of a model.
    """
    if not NAME.fullmatch(name):
        raise InputError(f"name={name}: use letters, digits, spaces and . _ - only")
    with contact(config) as client:
        if client.get_run(run.run_id).data.tags.get(UPLOADED) != "true":
            client.log_artifacts(run.run_id, str(folder), MODEL)
            client.set_tag(run.run_id, UPLOADED, "true")
        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        query = f"name = '{name}' AND run_id = '{run.run_id}'"
        versions = every(lambda page: client.search_model_versions(query, PAGE, page_token=page))
        wanted = {"run_name": run.name, "dataset": run.tags.get("dataset", ""), **tags}
        same = [version for version in versions if wanted.items() <= version.tags.items()]
        if same:
            version = same[0]
        else:
            source = f"{client.get_run(run.run_id).info.artifact_uri}/{MODEL}"
            version = client.create_model_version(name, source, run.run_id, wanted)
        client.set_registered_model_alias(name, CHAMPION, version.version)
    return ModelVersion(name, str(version.version), run.run_id, wanted)


def _version(found: Any) -> ModelVersion:
    """Return MLflow's version as ours."""
    return ModelVersion(found.name, str(found.version), found.run_id, dict(found.tags))


def _registered(client: MlflowClient, name: str) -> str:
    """List the aliases and versions of ``name``, or the models if there is none of that name."""
    found = every(lambda page: client.search_registered_models(None, PAGE, page_token=page))
    models = {model.name: model for model in found}
    if name in models:
        query = f"name = '{name}'"
        versions = every(lambda page: client.search_model_versions(query, PAGE, page_token=page))
        numbers = sorted(int(found.version) for found in versions)
        aliases = [f"models:/{name}@{alias}" for alias in models[name].aliases]
        return ", ".join([*aliases, *(f"models:/{name}/{number}" for number in numbers)])
    return ", ".join(f"models:/{known}" for known in models) or "no registered model"
