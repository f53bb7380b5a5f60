"""One grid point, from data to its MLflow run."""
