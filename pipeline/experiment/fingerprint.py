"""Compute one hash of what determines a grid point's result, so that a finished point is known.

It covers the configuration without keys that only say where and how often the point runs, the
content of data and of models in folders, the runs that references name today, and the code. It
does not cover a model on the hub that changes under its name, nor the machine
(``hardware.precision=auto`` may mean another precision there).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline import data
from pipeline.config import Config
from pipeline.config.identity import settings_of_result
from pipeline.config.stages import TrackingConfig
from pipeline.infra.code_version import STAGES, code_version
from pipeline.infra.model_files import content_hash
from pipeline.infra.stage_cache import content_key
from pipeline.tracking import references

BY_CONTENT = ("dataset", "forgetting")
"""Keys that the keys of the data sets stand for: the same data may lie at another path."""


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
    settings = settings_of_result(point)
    for key in BY_CONTENT:
        del settings[key]
    datasets = (point.dataset, point.forgetting.dataset)
    return content_key(
        {
            "config": settings,
            "data": [data_keys[str(dataset)] if dataset else None for dataset in datasets],
            "models": _in_folders(point),
            "runs": _referenced(settings, point.tracking),
            "code": code_version(*STAGES),
        }
    )


def _in_folders(point: Config) -> list[str]:
    """The contents of the models that are given as folders."""
    paths = (
        point.base.path,
        point.embedder.path,
        point.mining.embedder.path,
        point.mining.filter,
        point.train.teacher,
    )
    return [content_hash(Path(path)) for path in paths if path and Path(path).is_dir()]


def _referenced(value: object, config: TrackingConfig) -> list[str]:
    """The run ids behind ``run:NAME`` and the like: they may mean another model tomorrow."""
    if isinstance(value, Mapping):
        return [run for part in value.values() for run in _referenced(part, config)]
    if isinstance(value, str) and references.is_reference(value):
        return [references.find_model(config, value).run_id]
    return []
