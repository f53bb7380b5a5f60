"""A batch that does not fit in memory is halved, before anything is logged."""

import numpy as np
import pytest
import torch
from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss

from pipeline.experiment.shared import Shared
from pipeline.protocols import Effort, FitRequest, Reranker
from pipeline.training.training_set import TrainingSet
from tests.texts import PAIRS, PASSAGES, QUERIES
from tests.training.conftest import Curve, Train


class ShortOfMemory:
    """A real reranker on a machine with memory for ``fits`` examples at a time."""

    def __init__(self, inner: Reranker, fits: int) -> None:
        self._inner, self._fits = inner, fits
        self.model = inner.model
        self.score_pairs, self.save = inner.score_pairs, inner.save
        self.tried: list[tuple[int, int]] = []

    def fit(self, request: FitRequest) -> Effort:
        size = request.arguments["per_device_train_batch_size"]
        self.tried.append((size, request.arguments["gradient_accumulation_steps"]))
        if size > self._fits:
            with torch.no_grad():  # what a few steps before the error may have done
                next(self.model.parameters()).add_(1.0)
            request.on_log(1, {"train/loss": 99.0})
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return self._inner.fit(request)


@pytest.mark.slow
def test_out_of_memory_halves_the_batch_and_keeps_the_step(
    fitted: Train, caplog: pytest.LogCaptureFixture
) -> None:
    curve: Curve = []
    short, outcome = fitted(
        "train.batch_size=12", wrap=lambda inner: ShortOfMemory(inner, 4), curve=curve
    )
    assert isinstance(short, ShortOfMemory)
    assert short.tried == [(12, 1), (6, 2), (3, 4)]
    assert outcome.batch_size == 3
    assert [step for step, _ in curve] == [1, 2, 3, 4]  # of the last attempt only
    assert all(metrics["train/loss"] < 99 for _, metrics in curve)
    assert (outcome.effort.steps, outcome.effort.pairs) == (4, 4 * 12 * 2)
    assert "out of memory: 3 examples at a time instead of 12, accumulated 4 times" in caplog.text
    # the same step from the same start: as if it had been asked for so
    plain, _ = fitted("train.batch_size=3", "train.gradient_accumulation=4")
    ours, theirs = (m.score_pairs(QUERIES, PASSAGES, PAIRS) for m in (short, plain))
    assert np.allclose(ours, theirs, atol=1e-5)


@pytest.mark.slow
def test_memory_is_tried_before_anything_is_logged(
    fitted: Train, shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The longest pair fits only in a batch of 4, and does not come in the first step."""
    assert shared.negatives is not None
    rows = TrainingSet(shared.negatives, shared.dataset, 1).examples()
    longest = max(
        len(row.query) + len(text) for row in rows for text in (row.positive, *row.negatives)
    )
    forward = BinaryCrossEntropyLoss.forward
    seen: list[int] = []

    def on_a_small_gpu(self: object, inputs: list[list[str]], labels: torch.Tensor) -> torch.Tensor:
        seen.append(len(labels))
        if len(labels) > 4 and any(
            len(a) + len(b) >= longest for a, b in zip(*inputs, strict=True)
        ):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        loss: torch.Tensor = forward(self, inputs, labels)
        return loss

    monkeypatch.setattr(BinaryCrossEntropyLoss, "forward", on_a_small_gpu)
    curve: Curve = []
    _, outcome = fitted("arch.loss=bce", "train.batch_size=8", "train.max_steps=6", all_of=curve)
    assert outcome.batch_size == 4
    assert [step for step, _ in curve] == [1, 2, 3, 4, 5, 6]  # nothing of the first attempt
    assert outcome.effort.pairs == 6 * 8  # without the rehearsal
    assert seen[:2] == [8, 8]  # the first step, and the rehearsal


@pytest.mark.slow
def test_memory_for_nothing_fails(fitted: Train) -> None:
    with pytest.raises(RuntimeError, match="No executable batch size"):
        fitted("train.batch_size=4", wrap=lambda inner: ShortOfMemory(inner, 0))
