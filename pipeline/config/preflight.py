"""Check before anything heavy is loaded that a point can start.

These checks read the disk, so they are not part of the schema: the report composes a
configuration too, but needs no data.
"""

import os
from pathlib import Path

from pipeline.config import Config
from pipeline.config.bounds import require
from pipeline.config.datasets import BeirConfig
from pipeline.config.saved_models import check_lengths, check_weights, lengths_of, local_folder
from pipeline.records import InputError


def check_point(config: Config) -> None:
    """Check that a point can start.

    Raises:
        InputError: its data is missing or has no training queries, its output folder is not
            writable, its windows are wider than what its model reads, or it reads more tokens than
            its base can.
    """
    config.rerank.must_fit(config.arch)
    check_models(config)
    check_files(config)
    _check_training_queries(config)


def check_models(config: Config) -> None:
    """Check the models of a point whose files are here: their weights and the lengths they read.

    Raises:
        InputError: a model has no safetensors, or can't read that many tokens; the message names
            the key.
    """
    miner = config.mining.embedder
    models: list[tuple[str, str, dict[str, int]]] = [
        ("base", config.base.path, lengths_of(config.arch)),
        ("embedder", config.embedder.path, {"embedder.max_length": config.embedder.max_length}),
        ("mining.embedder", miner.path, {"mining.embedder.max_length": miner.max_length}),
    ]
    for key, path, lengths in models:
        if (folder := local_folder(path)) is not None:
            if config.max_length in lengths.values():  # which they have from that key
                lengths = {"max_length": config.max_length, **lengths}
            check_lengths(folder, lengths)
            check_weights(folder, f"{key}.path")


def check_files(config: Config) -> None:
    """Check that the data exists and ``output_dir`` is writable.

    Raises:
        InputError: it is not; the message names the key.
    """
    datasets = {"dataset": config.dataset, "forgetting.dataset": config.forgetting.dataset}
    for place, dataset in datasets.items():
        for key in ("path", "corpus"):
            path = getattr(dataset, key, None)
            exists = path is None or Path(path).exists()
            require(exists, f"{place}.{key}", path, "no such file or folder")
    folder = Path(config.output_dir).absolute()
    nearest = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if nearest.is_dir():
        problem = "" if os.access(nearest, os.W_OK | os.X_OK) else "no permission"
    else:
        problem = "is a file" if nearest.exists() else "is a broken link"
    if problem:
        raise InputError(f"output_dir={config.output_dir}: not writable ({nearest}: {problem})")


def _check_training_queries(config: Config) -> None:
    """Refuse to train on a data set of which the files show that it has no training queries."""
    dataset = config.dataset
    why = ""
    if dataset.max_train_queries == 0:
        why = "dataset.max_train_queries=0"
    elif isinstance(dataset, BeirConfig):
        qrels = Path(dataset.path) / "qrels"
        # A folder without qrels is none of BEIR's, which reading it says.
        if qrels.is_dir() and not any(
            (qrels / name).is_file() for name in ("train.tsv", "train.tsv.gz")
        ):
            why = f"there is no {qrels / 'train.tsv'}"
    if config.epochs > 0 and why:
        raise InputError(
            f"epochs={config.epochs}: data set {dataset.name} has no training queries ({why}), "
            "use epochs=0 (as a sweep: sweep arch=none base=none negatives=0 epochs=0)"
        )
