"""What a reranker is to the rest of the pipeline."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float32]
OnLog = Callable[[int, Mapping[str, float]], None]
"""Called with (optimiser step, metrics) while training runs."""


@dataclass(frozen=True)
class FitRequest:
    """Everything a trainer needs beside the model.

    ``rows`` yields (query, relevant passage, negative passages), and may be iterated twice;
    ``arguments`` are fields of transformers.TrainingArguments; ``dev_score`` measures the
    current weights on the dev queries, higher is better, and ``None`` means never.
    """

    rows: Callable[[], Iterable[tuple[str, str, list[str]]]]
    negatives: int
    arguments: dict[str, Any]
    dev_score: Callable[[], float] | None
    on_log: OnLog


class Reranker(Protocol):
    """A model that scores a query against passages; higher is more relevant."""

    def score_pairs(
        self,
        queries: Mapping[str, str],
        passages: Mapping[str, str],
        pairs: Sequence[tuple[str, str]],
        progress: bool = False,
    ) -> Scores:
        """One score for each (query id, passage id), shape (len(pairs),), any finite range."""
        ...

    def fit(self, request: FitRequest) -> None:
        """Train in place."""
        ...

    def save(self, folder: Path) -> None:
        """Write a folder that the library behind this class loads by itself."""
        ...

    def parameters(self) -> int:
        """How many weights the model has."""
        ...
