"""Register promoted models in MLflow, find their versions, and set the alias ``champion``."""

import re
from pathlib import Path
from typing import NamedTuple

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from pipeline.config.stages import TrackingConfig
from pipeline.infra.redact import mask
from pipeline.records import InputError
from pipeline.tracking.reader import RunRecord
from pipeline.tracking.store import contact

MODEL = "model"  # folder among the artifacts of a promoted run
CHAMPION = "champion"
NAME = re.compile(r"[\w .-]+")
REFERENCE = re.compile(r"models:/([^/@:]+)(?:@([^/@]+)|/(\d+))")
MISSING = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # second: a missing alias


class ModelVersion(NamedTuple):
    """One version of a registered model, and the run that trained it."""

    name: str
    version: str
    run_id: str


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
    return ModelVersion(name, str(found.version), found.run_id)


def champion(config: TrackingConfig, name: str) -> ModelVersion | None:
    """Return the version of ``name`` with the alias champion, if there is one."""
    with contact(config) as client:
        models = {model.name: model for model in client.search_registered_models()}
        if name not in models or CHAMPION not in models[name].aliases:
            return None
    return find_version(config, f"models:/{name}@{CHAMPION}")


def promote(config: TrackingConfig, run: RunRecord, folder: Path, name: str) -> ModelVersion:
    """Store ``folder`` with the run, register it as a version of ``name``, make it champion.

    Existing artifacts, and an existing version of the same run, are kept. The alias moves last, so
    it never points to an incomplete model.

    Raises:
        InputError: the address can't be used, or ``name`` is no valid name of a model.
    """
    if not NAME.fullmatch(name):
        raise InputError(f"name={name}: use letters, digits, spaces and . _ - only")
    with contact(config) as client:
        if MODEL not in {file.path for file in client.list_artifacts(run.run_id)}:
            client.log_artifacts(run.run_id, str(folder), MODEL)
        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        versions = client.search_model_versions(f"name = '{name}' AND run_id = '{run.run_id}'")
        if versions:
            version = versions[0]
        else:
            source = f"{client.get_run(run.run_id).info.artifact_uri}/{MODEL}"
            tags = {"run_name": run.name, "dataset": run.tags.get("dataset", "")}
            version = client.create_model_version(name, source, run.run_id, tags)
        client.set_registered_model_alias(name, CHAMPION, version.version)
    return ModelVersion(name, str(version.version), run.run_id)


def _registered(client: MlflowClient, name: str) -> str:
    """List the aliases and versions of ``name``, or the models if there is none of that name."""
    models = {model.name: model for model in client.search_registered_models()}
    if name in models:
        versions = client.search_model_versions(f"name = '{name}'")
        numbers = sorted(int(found.version) for found in versions)
        aliases = [f"models:/{name}@{alias}" for alias in models[name].aliases]
        return ", ".join([*aliases, *(f"models:/{name}/{number}" for number in numbers)])
    return ", ".join(f"models:/{known}" for known in models) or "no registered model"
