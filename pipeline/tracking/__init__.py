"""The record of every run in MLflow; the only package that imports it.

Everything goes through MlflowClient with the address given, never through MLflow's global
"active run", so a worker process can be reused for the next run. One parent run per sweep
(tag ``kind=sweep``), one child per grid point. ``connection`` opens the store, ``write`` and
``read`` handle runs, ``artifacts`` reads what they have stored, ``registry`` handles the versions
of promoted models, ``models`` finds the folder behind a name. A process that is killed leaves its
run RUNNING, with tags that say which process it was; ``process`` finds out that it is gone.
"""

import os

# Read by MLflow when it is imported; a user's own setting wins.
for _name, _value in {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # "View run at ..."
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",  # "Creating initial MLflow database tables ..."
}.items():
    os.environ.setdefault(_name, _value)

from pipeline.infra.redact import flatten  # noqa: E402
from pipeline.tracking.artifacts import (  # noqa: E402
    PER_QUERY_FILE,
    Text,
    download,
    read_per_query,
    read_ranking,
    read_relevant,
    read_skipped,
    read_texts,
)
from pipeline.tracking.attempts import earlier_attempt, end  # noqa: E402
from pipeline.tracking.description import first_page  # noqa: E402
from pipeline.tracking.liveness import is_dead  # noqa: E402
from pipeline.tracking.reader import (  # noqa: E402
    RunRecord,
    find_run,
    find_sweep,
    latest_sweep,
    read_attempts,
    read_finished,
    read_run,
    read_running,
    read_runs,
    running,
    started,
    used_stages,
)
from pipeline.tracking.references import find_model, is_reference, model_folder  # noqa: E402
from pipeline.tracking.registry import ModelVersion, champion, promote  # noqa: E402
from pipeline.tracking.store import open_experiment  # noqa: E402
from pipeline.tracking.writer import (  # noqa: E402
    MODEL_FOLDER,
    ActiveRun,
    log_per_query,
    log_query_table,
    log_texts,
    run,
)

__all__ = [
    "MODEL_FOLDER",
    "PER_QUERY_FILE",
    "ActiveRun",
    "ModelVersion",
    "RunRecord",
    "Text",
    "champion",
    "download",
    "earlier_attempt",
    "end",
    "find_model",
    "find_run",
    "find_sweep",
    "first_page",
    "flatten",
    "is_dead",
    "is_reference",
    "latest_sweep",
    "log_per_query",
    "log_query_table",
    "log_texts",
    "model_folder",
    "open_experiment",
    "promote",
    "read_attempts",
    "read_finished",
    "read_per_query",
    "read_ranking",
    "read_relevant",
    "read_run",
    "read_running",
    "read_runs",
    "read_skipped",
    "read_texts",
    "run",
    "running",
    "started",
    "used_stages",
]
