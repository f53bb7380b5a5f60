"""The interfaces of a reranker: what scores, what can be trained, and what training needs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from pipeline.records import TrainingExample

Scores = npt.NDArray[np.float32]
OnLog = Callable[[int, Mapping[str, float]], None]
"""Called with (optimiser step, metrics) while training runs."""


@dataclass(frozen=True)
class FitRequest:
    """Everything that a trainer needs beside the model.

    ``rows`` are iterated once. ``loss`` is one that the architecture has, and ``negatives`` the
    number of each row. ``arguments`` are fields of transformers.TrainingArguments; the
    layers that the base lacks learn at ``head_learning_rate`` instead (None: at the same rate).
    ``dropout`` is that of all layers while training (None: each its own). With ``lora_rank`` only
    low-rank adapters and new layers learn (None: all weights). ``on_log`` gets every log entry.
    ``dev_score`` measures the current weights on the dev queries, higher is better; None: never.
    With it the best weights remain, and training stops after ``patience`` evaluations without a
    better score (None: never); the last step is evaluated as well. A checkpoint is written to the
    arguments' ``output_dir`` every ``checkpoint_seconds`` (None: never), and training resumes
    from one that is there.
    """

    rows: Iterable[TrainingExample]
    loss: str
    head_learning_rate: float | None
    dropout: float | None
    negatives: int
    arguments: dict[str, Any]
    dev_score: Callable[[], float] | None
    patience: int | None
    lora_rank: int | None
    checkpoint_seconds: float | None
    on_log: OnLog


@dataclass(frozen=True)
class Effort:
    """What a training took: optimiser steps, and (query, passage) pairs in all of them.

    ``spent`` are the seconds of an interrupted attempt that this training resumed.
    """

    steps: int
    pairs: int
    spent: float


class Scorer(Protocol):
    """Scores a query against passages; higher is more relevant."""

    def score_pairs(
        self,
        queries: Mapping[str, str],
        passages: Mapping[str, str],
        pairs: Sequence[tuple[str, str]],
        progress: bool = False,
    ) -> Scores:
        """Score each (query id, passage id), shape (len(pairs),), in any finite range.

        ``progress`` shows a bar, or lines in a log.
        """
        ...


class Reranker(Scorer, Protocol):
    """A scorer that can be trained and saved."""

    model: torch.nn.Module

    def fit(self, request: FitRequest) -> Effort:
        """Train in place."""
        ...

    def save(self, folder: Path) -> None:
        """Write a folder that the library behind this class loads without this project."""
        ...
