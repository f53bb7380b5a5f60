"""What determines the result of a grid point, as one hash: who has finished it need not repeat it.

Its configuration without what only says where and how often it runs, the content of its data and
of models in folders, the runs that references name today, and the code. Does not cover: a hub's
model that changes under its name, and the machine (``hardware.precision=auto`` may mean another).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from pipeline import data
from pipeline.config import Config
from pipeline.config.stages import TrackingConfig
from pipeline.infra import provenance
from pipeline.infra.model_files import content_hash
from pipeline.infra.stage_cache import content_key
from pipeline.tracking import references

RUNTIME = (
    "tracking",
    "report",
    "output_dir",
    "cache_uri",
    "run_name",
    "grid",
    "force",
    "fail_fast",
    "retries",
)
"""Keys of the configuration that change nothing about a result."""


def fingerprints(points: Sequence[Config]) -> list[str]:
    """16 hex digits for each point; local data files are read once for all points.

    Raises:
        InputError: a file or package of the data is missing, or a referenced run or model.
    """
    keys: dict[str, str] = {}
    for point in points:
        for dataset in (point.dataset, point.forgetting.dataset):
            if dataset is not None and str(dataset) not in keys:
                keys[str(dataset)] = data.source_key(dataset)
    return [_fingerprint(point, keys) for point in points]


def _fingerprint(point: Config, data_keys: Mapping[str, str]) -> str:
    settings = {key: value for key, value in asdict(point).items() if key not in RUNTIME}
    del settings["train"]["checkpoint_minutes"]
    datasets = (point.dataset, point.forgetting.dataset)
    return content_key(
        {
            "config": settings,
            "data": [data_keys[str(dataset)] for dataset in datasets if dataset is not None],
            "models": _in_folders(point),
            "runs": _referenced(settings, point.tracking),
            "code": provenance.code_version(),
        }
    )


def _in_folders(point: Config) -> list[str]:
    """The contents of the models that are given as folders."""
    paths = (point.base.path, point.embedder.path, point.mining.embedder.path, point.train.teacher)
    return [content_hash(Path(path)) for path in paths if path and Path(path).is_dir()]


def _referenced(value: object, config: TrackingConfig) -> list[str]:
    """The run ids behind ``run:NAME`` and the like: they may mean another model tomorrow."""
    if isinstance(value, Mapping):
        return [run for part in value.values() for run in _referenced(part, config)]
    if isinstance(value, str) and references.is_reference(value):
        return [references.find_model(config, value).run_id]
    return []
