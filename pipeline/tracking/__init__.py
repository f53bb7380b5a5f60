"""The record of every run in MLflow. No other package imports MLflow.

A sweep is a parent run (tag ``kind=sweep``) with a child run per grid point. Everything goes
through MlflowClient with the given address and never through MLflow's global "active run", so a
worker process can be reused for the next run.

``store`` opens the tracking store, ``writer`` and ``reader`` handle runs, ``artifacts`` their
files, ``registry`` the versions of promoted models, ``references`` finds the model behind ``run:``
and ``models:``, ``model_card`` and ``ui_page`` write what people read. A killed process leaves its
run RUNNING; ``liveness`` finds out that the process is gone, and ``attempts`` ends the run.
"""

import os

# MLflow reads these when it is imported. A setting of the user wins.
for _name, _value in {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # "View run at ..."
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",  # "Creating initial MLflow database tables ..."
}.items():
    os.environ.setdefault(_name, _value)
