"""Open the tracking store by its address, create it where needed, and explain what is wrong."""

import logging
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request
from sqlalchemy.exc import SQLAlchemyError

from pipeline.config.stages import TrackingConfig, sqlite_path
from pipeline.infra.errors import disk_is_full
from pipeline.infra.redact import mask
from pipeline.records import InputError
from pipeline.tracking.ui_page import describe

FIRST_ANSWER = 10  # seconds within which a server must answer for the first time
PATIENCE = 120  # seconds that a database may be locked by another process
BUSY = re.compile(r"database is locked|database or disk is full")  # SQLite's words
NO_ANSWER = re.compile(r"failed with (timeout )?exception")  # what MLflow raises

log = logging.getLogger(__name__)


class OneRetryMessage(logging.Filter):
    """Log filter: at most one readable retry message per minute."""

    last = -60.0

    def filter(self, record: logging.LogRecord) -> bool:
        """Reword the first retry message of a minute and drop the others."""
        if not record.getMessage().startswith("Retrying"):
            return True
        if time.monotonic() - self.last < 60:
            return False
        self.last = time.monotonic()
        record.msg, record.args = "a server does not answer, retrying for some minutes", ()
        return True


logging.getLogger("urllib3.connectionpool").addFilter(OneRetryMessage())
# MLflow logs database errors with a traceback before it raises them.
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


def open_experiment(config: TrackingConfig) -> str:
    """Return the id of the experiment; create it, and a SQLite database, if there is none.

    Raises:
        InputError: the address can't be used or the experiment has been deleted.
    """
    with contact(config, create=True) as client:
        experiment = client.get_experiment_by_name(config.experiment)
        if experiment is None:
            try:
                client.create_experiment(config.experiment, _artifact_location(config))
            except MlflowException as error:
                # Another process may have created it meanwhile.
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            experiment = client.get_experiment_by_name(config.experiment)
        _refuse_deleted(config, experiment)
        describe(client, experiment)
        return str(experiment.experiment_id)


def check(config: TrackingConfig) -> None:
    """Make sure that runs can be recorded, and create nothing.

    Raises:
        InputError: the address can't be used or the experiment has been deleted.
    """
    path = sqlite_path(config.uri)
    if path is not None and not path.exists():
        return  # It will be created.
    with contact(config) as client:
        if experiment := client.get_experiment_by_name(config.experiment):
            _refuse_deleted(config, experiment)


def _refuse_deleted(config: TrackingConfig, experiment: Experiment | None) -> None:
    if experiment is None or experiment.lifecycle_stage == "deleted":
        raise InputError(
            f"tracking.experiment={config.experiment}: was deleted in {mask(config.uri)}, "
            "restore it or choose another name"
        )


def every(fetch: Callable[[str | None], Any]) -> list[Any]:
    """Return the items of all pages; ``fetch`` gets the token of a page, None for the first."""
    found: list[Any] = []
    token = None
    while True:
        page = fetch(token)
        found += page
        token = page.token
        if not token:
            return found


@contextmanager
def contact(config: TrackingConfig, create: bool = False) -> Iterator[MlflowClient]:
    """Give a client of the store, and turn its errors into one line.

    A wrong address of a server is reported within seconds. After the first answer MLflow retries
    for minutes, so that a sweep survives a restart of the server. ``create`` makes a SQLite
    database if there is none.

    Raises:
        InputError: the address is wrong, or the store lacks what the block reads.
        RuntimeError: the server answered before and has not answered for minutes, the disk is full,
            or the database is locked.
    """
    uri, path = config.uri, sqlite_path(config.uri)
    answered = False
    try:
        if path is not None:
            _check_sqlite(path, create)
        elif uri.startswith(("http://", "https://")) and config.parent_run_id is None:
            _first_contact(uri)  # a point of a sweep relies on the sweep's own contact
        answered = True
        yield MlflowClient(tracking_uri=uri, registry_uri=uri)
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError, ImportError) as error:
        text = " ".join(str(error).split())
        if disk_is_full(error) or BUSY.search(text):
            raise RuntimeError(f"tracking.uri={mask(uri)}: {mask(text)}") from error
        if not NO_ANSWER.search(text):
            raise InputError(f"tracking.uri={mask(uri)}: {mask(text)}") from error
        failure = RuntimeError if answered else InputError
        text = "the tracking server does not answer; check that it is running"
        raise failure(f"tracking.uri={mask(uri)}: {text}") from error


@cache
def _first_contact(uri: str) -> None:
    """Make sure, once a process, that a server answers."""
    credentials = get_default_host_creds(uri)
    http_request(credentials, "/health", "GET", max_retries=0, timeout=FIRST_ANSWER)


def _check_sqlite(path: Path, create: bool) -> None:
    """Raise an error if the database can't be opened, which MLflow would retry for 100 seconds.

    Wait if another process has locked it. With ``create`` it must be possible to write.
    """
    if create:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _create_sqlite(path)
    elif not path.exists():
        raise InputError(
            f"nothing has been recorded in {path} yet; run make sweep first, or name another store "
            "with output_dir=DIR or tracking.uri=URI"
        )
    begun, waiting = time.monotonic(), False
    while True:
        try:
            # Python handles signals between two tries only, so each is short.
            with closing(sqlite3.connect(path, timeout=1)) as database:
                database.execute("BEGIN IMMEDIATE" if create else "PRAGMA schema_version")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() - begun > PATIENCE:
                raise
        if not waiting:
            log.info("waiting for %s, which another process has locked", path)
        waiting = True


def _create_sqlite(path: Path) -> None:
    """Create the database under another name and rename it when it is complete.

    MLflow takes a second to create its tables. Several processes at once would fail, and a process
    that is killed meanwhile would leave a database that no later version can migrate.
    """
    with FileLock(path.with_name(f".{path.name}.lock")):
        if path.exists():
            return
        temporary = path.with_name(f".{path.name}.creating")
        for leftover in path.parent.glob(f"{temporary.name}*"):  # with its journal
            leftover.unlink()
        MlflowClient(tracking_uri=f"sqlite:///{temporary}").search_experiments(max_results=1)
        temporary.rename(path)


def _artifact_location(config: TrackingConfig) -> str | None:
    """Return an absolute location; MLflow takes a relative one from the current folder."""
    path = sqlite_path(config.uri)
    location = config.artifact_location or (str(path.parent / "artifacts") if path else None)
    if location is None or "://" in location:
        return location
    return Path(location).resolve().as_uri()
