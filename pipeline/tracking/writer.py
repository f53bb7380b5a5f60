"""Write a run: open it, log to it, and record how it ends."""

import json
import re
import threading
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Dataset as MlflowDataset
from mlflow.entities import DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT, MLFLOW_PARENT_RUN_ID
from mlflow.utils.validation import (
    MAX_METRICS_PER_BATCH,
    MAX_PARAM_VAL_LENGTH,
    MAX_PARAMS_TAGS_PER_BATCH,
    MAX_TAG_VAL_LENGTH,
)

from pipeline.config.stages import TrackingConfig
from pipeline.data.text import cut
from pipeline.infra.errors import one_line
from pipeline.infra.redact import mask
from pipeline.infra.signals import signals_terminate
from pipeline.infra.steps import step_of
from pipeline.tracking.liveness import HEARTBEAT, process_tags
from pipeline.tracking.reader import STAGE_TAG
from pipeline.tracking.store import open_experiment
from pipeline.tracking.ui_page import NOTE_TAG, SWEEP_TAG, describe

MODEL_FOLDER = "model_folder"  # tag: absolute path of the model on the machine of the run
BEAT = 60.0  # seconds between two signs of life
DECIMALS = {r"_at_\d+$": 4, r"_ms$": 1, r"(\b|_)seconds\b": 1}  # by the end of a metric's name
CUT_NOTE = "\nThe rest is in the artifacts.\n"


class ActiveRun:
    """A run that is being written."""

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self.run_id = run_id
        self.status = "FINISHED"  # with which the run ends, unless an exception ends it
        self._client = client

    def log_params(self, flat: Mapping[str, object]) -> None:
        """Log params, with passwords in URIs masked.

        A value above MLflow's limit (6,000 characters) is cut, and stored in full as the artifact
        ``params/KEY.txt``.
        """
        params = []
        for key, value in flat.items():
            text = mask(str(value))
            if len(text) > MAX_PARAM_VAL_LENGTH:
                self.log_text(text, f"params/{key}.txt")
            params.append(Param(key, cut(text, MAX_PARAM_VAL_LENGTH)))
        for start in range(0, len(params), MAX_PARAMS_TAGS_PER_BATCH):
            batch = params[start : start + MAX_PARAMS_TAGS_PER_BATCH]
            self._client.log_batch(self.run_id, params=batch)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log metrics, all at the same ``step`` (0 if None); NaN is kept as NaN.

        Quality has four decimals, milliseconds and seconds have one, so that the UI's columns can
        be read. What needs exact values reads those of the queries.
        """
        now = int(time.time() * 1000)
        values = [Metric(key, readable(key, v), now, step or 0) for key, v in metrics.items()]
        for start in range(0, len(values), MAX_METRICS_PER_BATCH):
            batch = values[start : start + MAX_METRICS_PER_BATCH]
            self._client.log_batch(self.run_id, metrics=batch)

    def log_seconds(self, spent: Mapping[str, float]) -> None:
        """Log the wall seconds of each step as ``seconds/STEP``."""
        self.log_metrics({f"seconds/{name}": seconds for name, seconds in spent.items()})

    def log_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags; a value is cut at MLflow's limit (8,000 characters)."""
        values = [RunTag(key, cut(text, MAX_TAG_VAL_LENGTH)) for key, text in tags.items()]
        self._client.log_batch(self.run_id, tags=values)

    def log_stages(self, used: Iterable[str]) -> None:
        """Record which stage outputs the run used; each is given as ``stage/KEY``."""
        keys: dict[str, list[str]] = {}
        for name in sorted(used):
            stage, key = name.split("/")
            keys.setdefault(STAGE_TAG + stage, []).append(key)
        self.log_tags({tag: " ".join(of_stage) for tag, of_stage in keys.items()})

    def log_file(self, path: Path, folder: str | None = None) -> None:
        """Store the file as an artifact in ``folder`` (None: at the top)."""
        self._client.log_artifact(self.run_id, str(path), artifact_path=folder)

    def log_logs(self, folder: Path | None) -> None:
        """Store the log files in ``folder``."""
        for file in sorted(folder.glob("*.log")) if folder else ():
            self.log_file(file)

    def log_text(self, text: str, name: str) -> None:
        """Store ``text`` as the artifact ``name``, a path with an extension."""
        self._client.log_text(self.run_id, text, name)

    def log_table(self, columns: Mapping[str, Sequence[object]], name: str) -> None:
        """Store the columns as the artifact ``name``.json, which the UI compares between runs."""
        self._client.log_table(self.run_id, dict(columns), f"{name}.json")

    def log_dataset(self, name: str, fingerprint: str, facts: Mapping[str, object]) -> None:
        """Show the data set in the column Dataset; ``facts``, such as sizes, are its profile."""
        dataset = MlflowDataset(
            name,
            digest=fingerprint[:8],  # MLflow takes 36 characters and shows 8
            source_type="pipeline",
            source=json.dumps({"fingerprint": fingerprint}),
            profile=json.dumps(facts),
        )
        inputs = [DatasetInput(dataset, [InputTag(MLFLOW_DATASET_CONTEXT, "evaluation")])]
        try:
            self._client.log_inputs(self.run_id, inputs)
        except MlflowException:
            # MLflow reads and then writes the row of the data set. If another point writes the row
            # in between, the database refuses the second one. The next try finds the row.
            self._client.log_inputs(self.run_id, inputs)

    def end(self, status: str) -> None:
        """Set the final status: FINISHED, FAILED or KILLED."""
        self._client.set_terminated(self.run_id, status)

    def fail(self, why: str) -> None:
        """Let the run end as FAILED, with ``why`` as its tag ``failure``, though nothing raises."""
        self.status = "FAILED"
        self.log_tags({"failure": why})

    def log_note(self, markdown: str) -> None:
        """Make ``markdown`` the description on the page of the run.

        A text above MLflow's limit (8,000 characters) is cut after a whole line.
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
    """Open a run of the experiment, a child of ``config.parent_run_id`` if that is set.

    ``resumed`` is the id of an ended run to continue. ``folder`` is that of a grid point, whose log
    is stored with the run however the run ends.

    The run ends as KILLED after a signal (Ctrl-C, SIGTERM, a scheduler's), as FAILED after any
    other exception or a call of ``fail``, and else as FINISHED. An exception is recorded as the
    one-line tag ``failure`` and the artifact ``traceback.txt``, for a point also with the tag
    ``step``, that of the recipe that failed; then it is raised again.
    """
    experiment_id = open_experiment(config)
    client = MlflowClient(tracking_uri=config.uri)
    tags = {**process_tags(), **tags}
    if config.parent_run_id:
        tags[MLFLOW_PARENT_RUN_ID] = config.parent_run_id
    run_id = resumed or client.create_run(experiment_id, run_name=name, tags=tags).info.run_id
    active = ActiveRun(client, run_id)
    with signals_terminate():
        try:
            if resumed:
                # The tags of this process come first, so that the run is not taken for a lost one.
                active.log_tags(tags)
                client.update_run(run_id, status="RUNNING")
                if "failure" in client.get_run(run_id).data.tags:
                    client.delete_tag(run_id, "failure")
            if config.parent_run_id or tags.get("kind") == "sweep":
                active.log_tags({SWEEP_TAG: _started(client, config.parent_run_id or run_id)})
            with _heartbeat(client, run_id):
                yield active
                active.log_logs(folder)
        except BaseException as error:
            _record_failure(active, error, folder)
            raise
    active.end(active.status)
    if not config.parent_run_id:  # a sweep's end, not that of each of its points
        describe(client, client.get_experiment(experiment_id))


def reopen(config: TrackingConfig, run_id: str) -> ActiveRun:
    """Write to a run that has ended; its status stays."""
    return ActiveRun(MlflowClient(tracking_uri=config.uri), run_id)


def _record_failure(run: ActiveRun, error: BaseException, folder: Path | None) -> None:
    """End ``run`` as KILLED or FAILED, and record why."""
    tags = {"failure": one_line(error), "step": step_of(error)}
    status = "FAILED"
    if isinstance(error, KeyboardInterrupt):  # Terminated is one
        status = "KILLED"
        answer = error.__cause__  # of a scheduler's handler, which exits or raises
        tags["failure"] = one_line(answer) if isinstance(answer, Exception) else "interrupted"
    if folder is None:
        del tags["step"]
    try:
        run.log_tags(tags)
        run.end(status)
        run.log_text(mask("".join(traceback.format_exception(error))), "traceback.txt")
        run.log_logs(folder)
    except Exception as problem:  # It must not hide the first error, whatever it is.
        error.add_note(f"MLflow could not record this failure: {one_line(problem)}")


def _started(client: MlflowClient, run_id: str) -> str:
    """Return when the run first started, in UTC: the same on every host and after resuming."""
    start = datetime.fromtimestamp(client.get_run(run_id).info.start_time / 1000, UTC)
    return f"{start:%Y-%m-%d %H:%M:%S} UTC"


@contextmanager
def _heartbeat(client: MlflowClient, run_id: str) -> Iterator[None]:
    """Update the tag ``heartbeat`` every minute within the block, for processes on other hosts."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(BEAT):
            # The run itself reports a server that is away.
            with suppress(Exception):
                client.set_tag(run_id, HEARTBEAT, f"{time.time():.0f}")

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()


def readable(name: str, value: float) -> float:
    """Round a metric to the decimals that its kind has in the UI; others are kept as they are."""
    decimals = next((count for kind, count in DECIMALS.items() if re.search(kind, name)), None)
    return float(value) if decimals is None else round(float(value), decimals)
