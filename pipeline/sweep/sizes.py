"""Read what only files and runs can tell of a point: what its data sets hold, and its base."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline import data
from pipeline.config import KEYS, Config
from pipeline.config.datasets import BeirConfig, DatasetConfig, LabelledConfig
from pipeline.config.nested import named_in
from pipeline.experiment.base import as_found
from pipeline.experiment.shared import check_sizes
from pipeline.infra.stage_cache import StageCache
from pipeline.records import Dataset
from pipeline.tracking.references import find_model, is_reference
from pipeline.tracking.writer import MODEL_FOLDER

LARGE = 200e6  # bytes: reading more takes minutes


@dataclass
class CountedConfig(DatasetConfig):
    """A data set that was read: its limits are what it holds."""

    fingerprint: str = ""
    relevant: int = 0  # (training query, relevant passage) pairs


def read_sizes(points: Sequence[Config]) -> list[Config]:
    """Return the points with what their own data sets hold, and with the folders of their runs.

    A data set is made as a run makes it, but in a temporary folder. One of more than ``LARGE``
    bytes stays as it is, and so does a base that the run left on another machine.

    Raises:
        InputError: a data set is broken or too small for the settings, or there is no such run.
    """
    with TemporaryDirectory() as folder:
        cache, read = StageCache(Path(folder)), dict[str, Dataset]()
        return [_with_base(_with_sizes(point, cache, read)) for point in points]


def too_large(dataset: DatasetConfig) -> bool:
    """Whether only the files tell what a data set holds, and are too large to be read."""
    if not isinstance(dataset, (BeirConfig, LabelledConfig)):
        return False
    files = [Path(dataset.path)]
    if isinstance(dataset, BeirConfig):
        files += Path(dataset.path).glob("*.jsonl*")
    elif dataset.corpus is not None:
        files.append(Path(dataset.corpus))
    return sum(file.stat().st_size for file in files) > LARGE


def _with_sizes(point: Config, cache: StageCache, read: dict[str, Dataset]) -> Config:
    if isinstance(point.dataset, (BeirConfig, LabelledConfig)) and not too_large(point.dataset):
        dataset = _load(point.dataset, cache, read)
        check_sizes(point, dataset)
        point = replace(point, dataset=_counted(point.dataset, dataset))
    general = point.forgetting.dataset
    if isinstance(general, (BeirConfig, LabelledConfig)) and not too_large(general):
        with named_in("forgetting.dataset", KEYS):
            counted = _counted(general, _load(general, cache, read))
        point = replace(point, forgetting=replace(point.forgetting, dataset=counted))
    return point


def _load(config: DatasetConfig, cache: StageCache, read: dict[str, Dataset]) -> Dataset:
    if str(config) not in read:
        read[str(config)] = data.load(config, cache)
    return read[str(config)]


def _counted(config: DatasetConfig, dataset: Dataset) -> CountedConfig:
    return CountedConfig(
        name=config.name,
        seed=config.seed,
        max_corpus=len(dataset.corpus),
        max_train_queries=len(dataset.train),
        max_dev_queries=len(dataset.dev),
        max_eval_queries=len(dataset.test),
        fingerprint=dataset.fingerprint,
        relevant=sum(map(len, dataset.train.qrels.values())),
    )


def _with_base(point: Config) -> Config:
    """Replace a reference by the folder where its run left the model, if that is here."""
    if not is_reference(point.base.path):
        return point
    left = find_model(point.tracking, point.base.path).tags.get(MODEL_FOLDER)
    if left is None or not Path(left, "config.json").is_file():
        return point
    return as_found(replace(point, base=replace(point.base, path=left)), Path(left))
