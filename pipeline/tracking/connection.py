"""The store by its address: opened, created where needed, and what is wrong with it in a line."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from pipeline.config import TrackingConfig
from pipeline.records import InputError
from pipeline.redact import mask

# A wrong address is found out in seconds. Only for the first contact: in the middle of a run
# MLflow's own patience (minutes) lets it survive a restart of the server.
QUICK = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}

NOTE_TAG = "mlflow.note.content"  # the description of an experiment in the UI
NOTE = """\
Rerankers on one data set: which one to train, what it gains over no reranking, what it costs.

One parent run per sweep, one child per grid point, named `{arch}_{base}_{negatives}neg_{epochs}ep`.
Every point reranks the same candidates.

| metric | meaning |
|---|---|
| `vector/...`, `fts/...`, `hybrid/...` | the search alone, without reranking |
| `vector_reranked/...` | ordered by the reranker |
| `vector_fused/...` | the reranker's order fused with the search's |
| `vector_candidates/recall_at_40` | the ceiling: what a perfect reranker could reach |
| `.../hit_rate_at_10` | share of queries with a relevant passage among the first 10 |
| `.../ndcg_at_10`, `mrr_at_10`, `recall_at_10` | trec_eval's measures, 0..1 |
| `latency/vector_50/total_p50_ms` | median of one query when 50 passages are reranked |
| `train/steps`, `train/pairs_seen` | compute: more negatives or epochs are also more steps |
"""


def open_experiment(config: TrackingConfig) -> str:
    """The id of the experiment; makes the SQLite folder and database and it where needed.

    Raises:
        InputError: the address can't be used or the experiment has been deleted.
    """
    with first_contact(config.uri, create=True) as client:
        experiment = client.get_experiment_by_name(config.experiment)
        if experiment is None:
            try:
                location = _artifact_location(config)
                return str(client.create_experiment(config.experiment, location, {NOTE_TAG: NOTE}))
            except MlflowException as error:  # another process was faster
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                experiment = client.get_experiment_by_name(config.experiment)
        if experiment is None or experiment.lifecycle_stage == "deleted":
            raise InputError(
                f"tracking.experiment={config.experiment}: was deleted in {mask(config.uri)}, "
                "restore it or choose another name"
            )
        return str(experiment.experiment_id)


@contextmanager
def first_contact(uri: str, create: bool = False) -> Iterator[MlflowClient]:
    """A client for ``uri``; what goes wrong with it is the user's address, told in one line."""
    quick = {name: value for name, value in QUICK.items() if name not in os.environ}
    os.environ.update(quick)
    try:
        _check_sqlite(uri, create)
        yield MlflowClient(tracking_uri=uri, registry_uri=uri)
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError, ImportError) as error:
        text = " ".join(str(error).split())
        if "failed with exception" in text:  # MLflow's words around a connection error
            text = "the tracking server does not answer, is it running?"
        raise InputError(f"tracking.uri={mask(uri)}: {mask(text)}") from error
    finally:
        for name in quick:
            os.environ.pop(name, None)


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


def sqlite_path(uri: str) -> Path | None:
    """The database file of a ``sqlite:///`` address, None for any other."""
    prefix = "sqlite:///"
    return Path(uri.removeprefix(prefix).split("?")[0]) if uri.startswith(prefix) else None


def _artifact_location(config: TrackingConfig) -> str | None:
    """Absolute, as MLflow would otherwise write below the folder of whoever runs first."""
    path = sqlite_path(config.uri)
    location = config.artifact_location or (str(path.parent / "artifacts") if path else None)
    if location is None or "://" in location:
        return location
    return Path(location).resolve().as_uri()
