"""Remember which queries a model has seen, so that its quality is not measured on them.

``seen_queries.npy`` lies beside the weights, so that it goes wherever the model is copied. It holds
eight bytes for each training and dev query, as they are compared when splits are kept apart
(``leak_key``). Dev queries count, as they choose the checkpoint, the fusion weight and the
calibration. A model that was fine-tuned has also seen what its start had seen.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.data.text import leak_key
from pipeline.infra.model_files import SEEN_QUERIES
from pipeline.records import Dataset, InputError

Keys = NDArray[np.uint64]


def save(folder: Path, dataset: Dataset, trained: bool, start: Path) -> None:
    """Write what the model in ``folder`` has seen.

    ``trained`` says that it was trained on the data set, and ``start`` is the folder of the model
    that it was trained from, or that it is.
    """
    splits = [dataset.dev, *([dataset.train] if trained else [])]
    texts = (text for split in splits for text in split.queries.values())
    np.save(folder / SEEN_QUERIES, np.union1d(_keys(texts), _read(start)))


def seen(folder: Path, queries: Mapping[str, str]) -> set[str]:
    """Return the ids of the ``queries`` that the model in ``folder`` has seen.

    Empty if it was saved without a list of them, as a model of somebody else is.
    """
    known = np.isin(_keys(queries.values()), _read(folder))
    return {query_id for query_id, was_seen in zip(queries, known, strict=True) if was_seen}


def refuse_seen(name: str, folder: Path, dataset: Dataset) -> None:
    """Refuse a model that has seen test queries; ``name`` is KEY=VALUE.

    Raises:
        InputError: it has seen some.
    """
    if found := seen(folder, dataset.test.queries):
        raise InputError(
            f"{name}: {len(found)} of the {len(dataset.test)} test queries of {dataset.name} are "
            "among its training or dev queries; split the data as for its training, or take "
            "another model"
        )


def _keys(texts: Iterable[str]) -> Keys:
    return np.array([int.from_bytes(leak_key(text)[:8]) for text in texts], dtype=np.uint64)


def _read(folder: Path) -> Keys:
    file = folder / SEEN_QUERIES
    if not file.is_file():
        return np.empty(0, dtype=np.uint64)
    keys: Keys = np.load(file, allow_pickle=False)
    return keys
