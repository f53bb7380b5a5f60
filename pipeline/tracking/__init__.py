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
