"""The record of every run in MLflow; the only module that imports it.

Everything goes through MlflowClient with the address given, never through MLflow's global
"active run", so a worker process can be reused for the next run. One parent run per sweep
(tag ``kind=sweep``), one child per grid point. Does not cover: a process ended by SIGKILL or
SIGTERM leaves its run RUNNING, with the tags ``host`` and ``pid`` to find out why.
"""

import os
import platform
import sqlite3
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

# Read by MLflow when it is imported; a user's own setting wins.
for _name, _value in {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # "View run at ..."
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",  # "Creating initial MLflow database tables ..."
}.items():
    os.environ.setdefault(_name, _value)

import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
from mlflow import MlflowClient  # noqa: E402
from mlflow.entities import Metric, Param, Run, RunTag  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID  # noqa: E402
from mlflow.utils.validation import (  # noqa: E402
    MAX_METRICS_PER_BATCH,
    MAX_PARAM_VAL_LENGTH,
    MAX_PARAMS_TAGS_PER_BATCH,
    MAX_TAG_VAL_LENGTH,
)
from sqlalchemy.exc import SQLAlchemyError  # noqa: E402

from pipeline.config import TrackingConfig  # noqa: E402
from pipeline.errors import one_line  # noqa: E402
from pipeline.metrics import PerQuery  # noqa: E402
from pipeline.records import InputError  # noqa: E402
from pipeline.redact import flatten as flatten  # noqa: E402
from pipeline.redact import mask  # noqa: E402

PER_QUERY_FILE = "per_query.parquet"
PAGE = 1000  # runs fetched at a time

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


@dataclass(frozen=True)
class RunRecord:
    """One run as MLflow has it; ``status`` is FINISHED, FAILED, KILLED or RUNNING."""

    run_id: str
    name: str
    status: str
    tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]


class ActiveRun:
    """A run that is being written."""

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self.run_id = run_id
        self._client = client

    def log_params(self, flat: Mapping[str, object]) -> None:
        """Log params; passwords in URIs are masked.

        A value above MLflow's limit (6,000 characters) is cut with a final ellipsis and
        logged in full as the artifact ``params/KEY.txt``.
        """
        params = []
        for key, value in flat.items():
            text = mask(str(value))
            if len(text) > MAX_PARAM_VAL_LENGTH:
                self.log_text(text, f"params/{key}.txt")
            params.append(Param(key, _cut(text, MAX_PARAM_VAL_LENGTH)))
        for start in range(0, len(params), MAX_PARAMS_TAGS_PER_BATCH):
            batch = params[start : start + MAX_PARAMS_TAGS_PER_BATCH]
            self._client.log_batch(self.run_id, params=batch)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log metrics, all at the same ``step`` (0 if None); NaN is kept as NaN."""
        now = int(time.time() * 1000)
        values = [Metric(key, float(value), now, step or 0) for key, value in metrics.items()]
        for start in range(0, len(values), MAX_METRICS_PER_BATCH):
            batch = values[start : start + MAX_METRICS_PER_BATCH]
            self._client.log_batch(self.run_id, metrics=batch)

    def log_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags, values cut at MLflow's limit (8,000 characters)."""
        values = [RunTag(key, _cut(text, MAX_TAG_VAL_LENGTH)) for key, text in tags.items()]
        self._client.log_batch(self.run_id, tags=values)

    def log_file(self, path: Path, folder: str | None = None) -> None:
        """Store the file as an artifact in ``folder`` (None: at the top)."""
        self._client.log_artifact(self.run_id, str(path), artifact_path=folder)

    def log_text(self, text: str, name: str) -> None:
        """Store ``text`` as the artifact ``name``, a path with an extension."""
        self._client.log_text(self.run_id, text, name)


def open_experiment(config: TrackingConfig) -> str:
    """The id of the experiment; makes the SQLite folder and database and it where needed.

    Call it before several processes start: SQLite databases can't be created concurrently.

    Raises:
        InputError: the address can't be used or the experiment has been deleted.
    """
    with _first_contact(config.uri, create=True) as client:
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
def run(config: TrackingConfig, name: str, tags: Mapping[str, str]) -> Iterator[ActiveRun]:
    """A run of the experiment, a child if ``config.parent_run_id`` is set.

    Ends as FINISHED, as KILLED after KeyboardInterrupt, and as FAILED after any other
    exception, with a one-line tag ``failure`` and the artifact ``traceback.txt``; the exception
    goes on.
    """
    experiment_id = open_experiment(config)
    client = MlflowClient(tracking_uri=config.uri)
    tags = {"host": platform.node(), "pid": str(os.getpid()), **tags}
    if config.parent_run_id:
        tags[MLFLOW_PARENT_RUN_ID] = config.parent_run_id
    run_id = client.create_run(experiment_id, run_name=name, tags=tags).info.run_id
    active = ActiveRun(client, run_id)
    try:
        yield active
    except BaseException as error:
        killed = isinstance(error, KeyboardInterrupt)
        reason = "interrupted" if killed else one_line(error)
        try:
            active.log_tags({"failure": reason})
            client.set_terminated(run_id, "KILLED" if killed else "FAILED")
            active.log_text(mask("".join(traceback.format_exception(error))), "traceback.txt")
        except Exception as problem:  # whatever it is, it must not hide the first error
            error.add_note(f"MLflow could not record this failure: {one_line(problem)}")
        raise
    client.set_terminated(run_id, "FINISHED")


def read_runs(config: TrackingConfig, parent_run_id: str) -> list[RunRecord]:
    """The children of a sweep, oldest first.

    Raises:
        InputError: the address can't be used or has no such run.
    """
    with _first_contact(config.uri) as client:
        experiment_id = client.get_run(parent_run_id).info.experiment_id
        runs = _search(client, experiment_id, _children_of(parent_run_id))
        return [_record(run) for run in runs]


def latest_sweep(config: TrackingConfig) -> str | None:
    """The run id of the experiment's newest sweep that has a finished run, if there is one.

    Raises:
        InputError: the address can't be used.
    """
    path = _sqlite_path(config.uri)
    if path and not path.exists():
        return None
    with _first_contact(config.uri) as client:
        experiment = client.get_experiment_by_name(config.experiment)
        if experiment is None:
            return None
        sweeps = _search(client, experiment.experiment_id, "tags.kind = 'sweep'")
        for sweep in reversed(sweeps):
            finished = f"{_children_of(sweep.info.run_id)} AND attributes.status = 'FINISHED'"
            if client.search_runs([experiment.experiment_id], finished, max_results=1):
                return str(sweep.info.run_id)
    return None


def log_per_query(run: ActiveRun, per_query: Mapping[str, PerQuery]) -> None:
    """Store stage -> metric -> query id -> value as the artifact ``per_query.parquet``.

    Columns query_id, stage, metric, value; stages are ``vector``, ``vector_reranked``, ...
    """
    columns: dict[str, list[object]] = {"query_id": [], "stage": [], "metric": [], "value": []}
    for stage, metrics in per_query.items():
        for metric, values in metrics.items():
            columns["query_id"] += values.keys()
            columns["stage"] += [stage] * len(values)
            columns["metric"] += [metric] * len(values)
            columns["value"] += values.values()
    types = {name: pa.float64() if name == "value" else pa.string() for name in columns}
    table = pa.table(columns, schema=pa.schema(types))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / PER_QUERY_FILE
        pq.write_table(table, path, compression="zstd")
        run.log_file(path)


def read_per_query(config: TrackingConfig, run_id: str) -> dict[str, PerQuery]:
    """What log_per_query stored; empty if the run has none, as a failed one may."""
    with _first_contact(config.uri) as client:
        if PER_QUERY_FILE not in {file.path for file in client.list_artifacts(run_id)}:
            return {}
        with tempfile.TemporaryDirectory() as folder:
            table = pq.read_table(client.download_artifacts(run_id, PER_QUERY_FILE, folder))
    per_query: dict[str, PerQuery] = {}
    columns = (table[name].to_pylist() for name in ("query_id", "stage", "metric", "value"))
    for query_id, stage, metric, value in zip(*columns, strict=True):
        per_query.setdefault(stage, {}).setdefault(metric, {})[query_id] = value
    return per_query


@contextmanager
def _first_contact(uri: str, create: bool = False) -> Iterator[MlflowClient]:
    """A client for ``uri``; what goes wrong with it is the user's address, told in one line."""
    quick = {name: value for name, value in QUICK.items() if name not in os.environ}
    os.environ.update(quick)
    try:
        _check_sqlite(uri, create)
        yield MlflowClient(tracking_uri=uri)
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
    path = _sqlite_path(uri)
    if path is None:
        return
    if create:
        path.parent.mkdir(parents=True, exist_ok=True)
    elif not path.exists():
        raise FileNotFoundError("there is no such database")
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA schema_version")


def _sqlite_path(uri: str) -> Path | None:
    prefix = "sqlite:///"
    return Path(uri.removeprefix(prefix).split("?")[0]) if uri.startswith(prefix) else None


def _artifact_location(config: TrackingConfig) -> str | None:
    """Absolute, as MLflow would otherwise write below the folder of whoever runs first."""
    path = _sqlite_path(config.uri)
    location = config.artifact_location or (str(path.parent / "artifacts") if path else None)
    if location is None or "://" in location:
        return location
    return Path(location).resolve().as_uri()


def _search(client: MlflowClient, experiment_id: str, query: str) -> list[Run]:
    """All runs that ``query`` finds, oldest first."""
    found: list[Run] = []
    token = None
    while True:
        page = client.search_runs(
            [experiment_id],
            query,
            max_results=PAGE,
            order_by=["attributes.start_time ASC"],
            page_token=token,
        )
        found += page
        token = page.token
        if not token:
            return found


def _children_of(run_id: str) -> str:
    return f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{run_id}'"


def _record(run: Run) -> RunRecord:
    data = run.data
    info = run.info
    return RunRecord(
        info.run_id,
        info.run_name,
        info.status,
        dict(data.tags),
        dict(data.params),
        dict(data.metrics),
    )


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
