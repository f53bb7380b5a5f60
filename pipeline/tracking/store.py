"""The store by its address: opened, created where needed, and what is wrong with it in a line."""

import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from pipeline.config.stages import TrackingConfig, sqlite_path
from pipeline.infra.redact import mask
from pipeline.records import InputError
from pipeline.tracking.description import describe

# A wrong address is found out in seconds. Once it has answered, MLflow's own patience (minutes)
# lets a sweep survive a restart of the server.
QUICK = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}

_answered: set[str] = set()  # addresses that are known to be right


class _Patience(logging.Filter):
    """Of urllib3's line for every try makes one a minute, in words; none for a first contact."""

    quick = False
    _said = -60.0

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.getMessage().startswith("Retrying"):
            return True
        if self.quick or time.monotonic() - self._said < 60:
            return False
        self._said = time.monotonic()
        record.msg, record.args = "a server does not answer, trying again for some minutes", ()
        return True


_patience = _Patience()
logging.getLogger("urllib3.connectionpool").addFilter(_patience)
# It logs what it raises, with a traceback.
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


def open_experiment(config: TrackingConfig) -> str:
    """The id of the experiment; makes the SQLite folder and database and it where needed.

    Raises:
        InputError: the address can't be used or the experiment has been deleted.
    """
    with contact(config.uri, create=True) as client:
        experiment = client.get_experiment_by_name(config.experiment)
        if experiment is None:
            try:
                client.create_experiment(config.experiment, _artifact_location(config))
            except MlflowException as error:  # another process was faster
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            experiment = client.get_experiment_by_name(config.experiment)
        if experiment is None or experiment.lifecycle_stage == "deleted":
            raise InputError(
                f"tracking.experiment={config.experiment}: was deleted in {mask(config.uri)}, "
                "restore it or choose another name"
            )
        describe(client, experiment)
        return str(experiment.experiment_id)


@contextmanager
def contact(uri: str, create: bool = False) -> Iterator[MlflowClient]:
    """A client for ``uri``; what goes wrong with it is told in one line.

    Raises:
        InputError: the address is wrong, or what is asked for is not there.
        RuntimeError: a server that has answered before has been away for minutes.
    """
    first = uri not in _answered
    quick = {name: QUICK[name] for name in QUICK if first and name not in os.environ}
    os.environ.update(quick)
    _patience.quick = first
    try:
        _check_sqlite(uri, create)
        yield MlflowClient(tracking_uri=uri, registry_uri=uri)
        _answered.add(uri)
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError, ImportError) as error:
        text = " ".join(str(error).split())
        if "failed with exception" in text:  # MLflow's words around a connection error
            text = "the tracking server does not answer, is it running?"
            if not first:
                raise RuntimeError(f"tracking.uri={mask(uri)}: {text}") from error
        raise InputError(f"tracking.uri={mask(uri)}: {mask(text)}") from error
    finally:
        _patience.quick = False
        for name in quick:
            os.environ.pop(name, None)


def expect(uri: str) -> None:
    """Be patient with ``uri`` from now on, as somebody has had an answer from it."""
    _answered.add(uri)


def _check_sqlite(uri: str, create: bool) -> None:
    """MLflow would retry to open an impossible file for 100 seconds."""
    path = sqlite_path(uri)
    if path is None:
        return
    if create:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _create_sqlite(path)
    elif not path.exists():
        raise FileNotFoundError("there is no such database")
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA schema_version")


def _create_sqlite(path: Path) -> None:
    """A new database, under another name until it is whole.

    MLflow takes a second to make its tables. Several processes at once would fail, and one that
    is killed meanwhile would leave a database that no later version of the tables can be put on.
    """
    with FileLock(path.with_name(f".{path.name}.lock")):
        if path.exists():
            return
        temporary = path.with_name(f".{path.name}.creating")
        for leftover in path.parent.glob(f"{temporary.name}*"):  # its journal, too
            leftover.unlink()
        MlflowClient(tracking_uri=f"sqlite:///{temporary}").search_experiments(max_results=1)
        temporary.rename(path)


def _artifact_location(config: TrackingConfig) -> str | None:
    """Absolute, as MLflow would otherwise write below the folder of whoever runs first."""
    path = sqlite_path(config.uri)
    location = config.artifact_location or (str(path.parent / "artifacts") if path else None)
    if location is None or "://" in location:
        return location
    return Path(location).resolve().as_uri()
