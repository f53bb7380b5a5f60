"""Runs while they are written."""

import json
import tempfile
import threading
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from mlflow import MlflowClient
from mlflow.entities import Dataset as MlflowDataset
from mlflow.entities import DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT, MLFLOW_PARENT_RUN_ID
from mlflow.utils.validation import (
    MAX_METRICS_PER_BATCH,
    MAX_PARAM_VAL_LENGTH,
    MAX_PARAMS_TAGS_PER_BATCH,
    MAX_TAG_VAL_LENGTH,
)

from pipeline.config.stages import TrackingConfig
from pipeline.evaluation.metrics import PerQuery
from pipeline.infra.errors import by_signal, one_line
from pipeline.infra.redact import mask
from pipeline.infra.stage_cache import current_stage
from pipeline.tracking.artifacts import PER_QUERY_FILE, POINTS_FILE, TEXTS_FILE, Text
from pipeline.tracking.description import NOTE_TAG, describe
from pipeline.tracking.liveness import HEARTBEAT, process_tags
from pipeline.tracking.reader import STAGE_TAG
from pipeline.tracking.store import open_experiment
from pipeline.tracking.view import SWEEP_TAG

MODEL_FOLDER = "model_folder"
"""The tag with the absolute path of the model on the machine of the run."""

BEAT = 60.0  # seconds
CUT_NOTE = "\nThe rest is in the artifacts.\n"
QUERY_TABLE = "per_query"
QUERY_TEXT = 300  # characters of a query in it
QUERY_TABLE_ROWS = 2000  # the UI loads the whole table at once


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

    def log_stages(self, used: Iterable[str]) -> None:
        """Record which stage outputs the run used, given as ``stage/KEY``."""
        keys: dict[str, list[str]] = {}
        for name in sorted(used):
            stage, key = name.split("/")
            keys.setdefault(STAGE_TAG + stage, []).append(key)
        self.log_tags({tag: " ".join(of_stage) for tag, of_stage in keys.items()})

    def log_file(self, path: Path, folder: str | None = None) -> None:
        """Store the file as an artifact in ``folder`` (None: at the top)."""
        self._client.log_artifact(self.run_id, str(path), artifact_path=folder)

    def log_logs(self, folder: Path | None) -> None:
        """Store what was logged to ``folder``, if there is one."""
        for file in sorted(folder.glob("*.log")) if folder else ():
            self.log_file(file)

    def log_text(self, text: str, name: str) -> None:
        """Store ``text`` as the artifact ``name``, a path with an extension."""
        self._client.log_text(self.run_id, text, name)

    def log_table(self, columns: Mapping[str, Sequence[object]], name: str) -> None:
        """Store the columns as the artifact ``name``.json, which the UI compares between runs."""
        self._client.log_table(self.run_id, dict(columns), f"{name}.json")

    def log_dataset(self, name: str, fingerprint: str, facts: Mapping[str, object]) -> None:
        """Name the data set in the column Dataset; ``facts``, e.g. sizes, are its profile."""
        dataset = MlflowDataset(
            name,
            digest=fingerprint[:8],  # MLflow takes 36 characters, tables show 8
            source_type="pipeline",
            source=json.dumps({"fingerprint": fingerprint}),
            profile=json.dumps(facts),
        )
        tags = [InputTag(MLFLOW_DATASET_CONTEXT, "evaluation")]
        self._client.log_inputs(self.run_id, [DatasetInput(dataset, tags)])

    def log_points(self, points: Mapping[str, Mapping[str, str]]) -> None:
        """Record every point of a sweep, so that none is missed.

        ``points`` maps fingerprint -> its ``name`` and ``dataset``.
        """
        self.log_text(json.dumps(points), POINTS_FILE)

    def log_note(self, markdown: str) -> None:
        """Make ``markdown`` the description on the run's page.

        What exceeds MLflow's limit (8,000 characters) is cut after a whole line.
        """
        if len(markdown) > MAX_TAG_VAL_LENGTH:
            kept = markdown[: MAX_TAG_VAL_LENGTH - len(CUT_NOTE)]
            markdown = kept[: kept.rfind("\n") + 1] + CUT_NOTE
        self.log_tags({NOTE_TAG: markdown})


@contextmanager
def run(
    config: TrackingConfig,
    name: str,
    tags: Mapping[str, str],
    resumed: str | None = None,
    folder: Path | None = None,
) -> Iterator[ActiveRun]:
    """A run of the experiment, a child if ``config.parent_run_id`` is set.

    With ``resumed``, the id of a run that has ended, that one is gone on with. ``folder`` is that
    of a grid point: its log is stored with the run, however that ends.

    Ends as FINISHED, as KILLED after KeyboardInterrupt and what the handler of a signal raises,
    and as FAILED after any other exception, with a one-line tag ``failure``, for a point the tag
    ``stage``, and the artifact ``traceback.txt``; the exception goes on.
    """
    experiment_id = open_experiment(config)
    client = MlflowClient(tracking_uri=config.uri)
    tags = {**process_tags(), **tags}
    if config.parent_run_id:
        tags[MLFLOW_PARENT_RUN_ID] = config.parent_run_id
    run_id = resumed or client.create_run(experiment_id, run_name=name, tags=tags).info.run_id
    active = ActiveRun(client, run_id)
    try:
        if resumed:
            active.log_tags(tags)  # first whose it is, so that nobody takes it for a lost one
            client.update_run(run_id, status="RUNNING")
            if "failure" in client.get_run(run_id).data.tags:
                client.delete_tag(run_id, "failure")
        if config.parent_run_id or tags.get("kind") == "sweep":
            active.log_tags({SWEEP_TAG: _started(client, config.parent_run_id or run_id)})
        with _heartbeat(client, run_id):
            yield active
            active.log_logs(folder)
    except BaseException as error:
        killed = isinstance(error, KeyboardInterrupt) or by_signal(error)
        asked_to = killed and not isinstance(error, Exception)
        reason = "interrupted" if asked_to else one_line(error)
        try:
            active.log_tags({"failure": reason} | ({"stage": current_stage()} if folder else {}))
            client.set_terminated(run_id, "KILLED" if killed else "FAILED")
            active.log_text(mask("".join(traceback.format_exception(error))), "traceback.txt")
            active.log_logs(folder)
        except Exception as problem:  # whatever it is, it must not hide the first error
            error.add_note(f"MLflow could not record this failure: {one_line(problem)}")
        raise
    client.set_terminated(run_id, "FINISHED")
    if not config.parent_run_id:  # a sweep's end, not that of each of its points
        describe(client, client.get_experiment(experiment_id))


def _started(client: MlflowClient, run_id: str) -> str:
    """When the run started, in UTC: the same on every host, and when it is gone on with."""
    start = datetime.fromtimestamp(client.get_run(run_id).info.start_time / 1000, UTC)
    return f"{start:%Y-%m-%d %H:%M:%S} UTC"


@contextmanager
def _heartbeat(client: MlflowClient, run_id: str) -> Iterator[None]:
    """Inside, a tag says every minute that the process is there, for those on other hosts."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(BEAT):
            with suppress(Exception):  # a server that is away, which the run itself will notice
                client.set_tag(run_id, HEARTBEAT, f"{time.time():.0f}")

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()


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
    _log_table(run, pa.table(columns, schema=pa.schema(types)), PER_QUERY_FILE)


def log_texts(run: ActiveRun, texts: Sequence[Text]) -> None:
    """Store queries and passages as the artifact ``texts.parquet``, a column a field."""
    columns = {name: [getattr(text, name) for text in texts] for name in Text._fields}
    schema = pa.schema(dict.fromkeys(Text._fields, pa.string()))
    _log_table(run, pa.table(columns, schema=schema), TEXTS_FILE)


def _log_table(run: ActiveRun, table: pa.Table, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        pq.write_table(table, path, compression="zstd")
        run.log_file(path)


def log_query_table(
    run: ActiveRun, queries: Mapping[str, str], per_query: Mapping[str, PerQuery], metric: str
) -> None:
    """Store ``metric`` of the first 2,000 queries, with their texts, for the UI to compare.

    ``queries`` maps query id -> text. One column a stage, named as the metrics are:
    ``vector_reranked/ndcg_at_10``.
    """
    ids = sorted(queries)[:QUERY_TABLE_ROWS]
    # The UI groups by the first column and compares the second, unless told otherwise.
    columns: dict[str, Sequence[object]] = {"query": [_cut(queries[i], QUERY_TEXT) for i in ids]}
    for stage in sorted(per_query, key=lambda stage: not stage.endswith("_reranked")):
        if metric in per_query[stage]:
            values = per_query[stage][metric]
            columns[f"{stage}/{metric}"] = [round(values[i], 4) for i in ids]
    columns["query_id"] = ids
    run.log_table(columns, QUERY_TABLE)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
