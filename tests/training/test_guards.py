"""What goes wrong in training is said: memory, learning rate, loss, scores, a worse model."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss

from pipeline.config import Config
from pipeline.experiment.shared import Shared
from pipeline.infra.hardware import Hardware
from pipeline.infra.model_files import prepare_base
from pipeline.infra.stage_cache import StageCache
from pipeline.protocols import Effort, FitRequest, Reranker
from pipeline.records import InputError
from pipeline.rerankers import load_reranker
from pipeline.training.guards import check_gains
from pipeline.training.negatives import TrainingSet
from pipeline.training.schedule import plan
from pipeline.training.train import Outcome, train
from tests.conftest import Compose

QUERIES = {"q": "merge two configurations"}
PASSAGES = {"a": "Merges the other config into this one.", "b": "Draws a graph with a layout."}
PAIRS = [("q", "a"), ("q", "b")]
Train = Callable[..., tuple[Reranker, Outcome]]
Curve = list[tuple[int, Mapping[str, float]]]


@pytest.fixture
def fitted(shared: Shared, small: Compose, machine: Hardware, tmp_path: Path) -> Train:
    """Train a tiny ModernBERT on the small data set: ``fitted("train.max_steps=4", ...)``."""

    def run(
        *overrides: str,
        dev_score: Callable[[], float] | None = None,
        better_than_start: bool = False,
        wrap: Callable[[Reranker], Reranker] = lambda reranker: reranker,
        curve: Curve | None = None,
        all_of: Curve | None = None,
    ) -> tuple[Reranker, Outcome]:
        config: Config = small("base=modernbert_tiny", "train.max_steps=4", *overrides)
        folder = prepare_base(config.base, StageCache.of(config))
        loaded = load_reranker(folder, config.arch, machine, 32, seed=1)
        assert loaded is not None and shared.negatives is not None
        reranker = wrap(loaded)
        rows = TrainingSet(shared.negatives, shared.dataset, 1)
        schedule = plan(config.arch.loss, len(rows), rows.queries, 1, 1, config.train)
        logged: Curve = [] if curve is None else curve

        def on_log(step: int, metrics: Mapping[str, float]) -> None:
            logged.append((step, metrics))
            if all_of is not None:  # also of an attempt that was given up
                all_of.append((step, metrics))

        outcome = train(
            *(reranker, rows.examples, schedule, config.train, machine, 1, tmp_path, dev_score),
            on_log,
            logged.clear,
            better_than_start=better_than_start,
        )
        return reranker, outcome

    return run


class ShortOfMemory:
    """A real reranker on a machine with memory for ``fits`` examples at a time."""

    def __init__(self, inner: Reranker, fits: int) -> None:
        self._inner, self._fits = inner, fits
        self.model = inner.model
        self.score_pairs, self.save, self.parameters = (
            inner.score_pairs,
            inner.save,
            inner.parameters,
        )
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


@pytest.mark.slow
def test_a_worse_model_is_undone(fitted: Train, caplog: pytest.LogCaptureFixture) -> None:
    scores = iter([0.8, 0.5])
    kept, outcome = fitted(dev_score=lambda: next(scores), better_than_start=True)
    assert (outcome.kept, outcome.dev_before, outcome.dev_after) == ("start", 0.8, 0.5)
    assert "training lowered the dev NDCG from 0.800 to 0.500" in caplog.text
    better = iter([0.5, 0.8])
    trained, outcome = fitted(dev_score=lambda: next(better), better_than_start=True)
    assert outcome.kept == "trained"
    start, _ = fitted("train.learning_rate=1e-12", "train.head_learning_rate=null")
    ours, theirs, other = (m.score_pairs(QUERIES, PASSAGES, PAIRS) for m in (kept, start, trained))
    assert np.allclose(ours, theirs, atol=1e-6)
    assert not np.allclose(ours, other, atol=1e-6)


@pytest.mark.slow
def test_training_stops_when_patience_is_over(fitted: Train) -> None:
    scores = iter([0.5, 0.9, 0.4, 0.3])  # a fifth evaluation would raise StopIteration
    _, outcome = fitted(
        "train.max_steps=50",
        "train.eval_every=2",
        "train.patience=2",
        dev_score=lambda: next(scores),
    )
    assert next(scores, None) is None
    # What was trained counts, not the 50 steps that were planned.
    assert (outcome.effort.steps, outcome.effort.pairs) == (8, 8 * 16)


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["cross_encoder", "colbert"])
def test_the_last_steps_can_be_the_best(arch: str, fitted: Train) -> None:
    few = (f"arch={arch}", "train.max_steps=5", "train.learning_rate=1e-3")
    scores = iter([0.1, 0.2, 0.9])  # after steps 2, 4 and 5
    best, outcome = fitted(*few, "train.eval_every=2", dev_score=lambda: next(scores))
    assert next(scores, None) is None
    assert outcome.effort.steps == 5
    last, _ = fitted(*few)
    ours, theirs = (m.score_pairs(QUERIES, PASSAGES, PAIRS) for m in (best, last))
    assert np.array_equal(ours, theirs)


@pytest.mark.slow
@pytest.mark.parametrize("rate", ["1e-8", "0.1"])
def test_an_unusual_learning_rate_is_named(
    rate: str, fitted: Train, caplog: pytest.LogCaptureFixture
) -> None:
    _, outcome = fitted(f"train.learning_rate={rate}", "train.max_steps=1")
    assert f"train.learning_rate={float(rate):g}: usual is 1e-06 to 0.0005" in outcome.warnings[0]
    assert outcome.warnings[0] in caplog.text


@pytest.mark.slow
def test_a_flat_loss_is_named(fitted: Train) -> None:
    _, outcome = fitted("train.learning_rate=1e-9", "train.max_steps=16")
    assert any(warning.startswith("the loss is flat") for warning in outcome.warnings)


@pytest.mark.slow
def test_a_loss_that_is_no_number_stops_the_run(fitted: Train) -> None:
    def broken(reranker: Reranker) -> Reranker:
        with torch.no_grad():
            next(reranker.model.parameters()).fill_(torch.nan)
        return reranker

    with pytest.raises(RuntimeError, match=r"the loss is nan at step 1: lower train.learning_rate"):
        fitted(wrap=broken)


def test_labels_that_lambda_can_not_raise_two_to_are_refused() -> None:
    with pytest.raises(InputError, match=r"arch.loss=lambda: the largest label is 200"):
        check_gains("lambda", 200)
    check_gains("listnet", 200)
    check_gains("lambda", 3)


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["cross_encoder", "colbert"])
def test_adapters_train_and_merge(
    arch: str, fitted: Train, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    scores = iter([0.2, 0.9, 0.1, 0.1])  # the second of four checkpoints is the best one
    trained: list[Reranker] = []
    seen = []

    def wrap(reranker: Reranker) -> Reranker:
        trained.append(reranker)
        return reranker

    def dev_score() -> float:
        seen.append(trained[0].score_pairs(QUERIES, PASSAGES, PAIRS))
        return next(scores)

    adapted, _ = fitted(
        f"arch={arch}",
        "train.lora_rank=4",
        "train.learning_rate=1e-2",
        "train.eval_every=1",
        dev_score=dev_score,
        wrap=wrap,
    )
    assert not caplog.records
    assert not any("lora" in name for name, _ in adapted.model.named_parameters())
    ours = adapted.score_pairs(QUERIES, PASSAGES, PAIRS)
    start, _ = fitted(f"arch={arch}", "train.learning_rate=1e-12")
    assert not np.allclose(ours, start.score_pairs(QUERIES, PASSAGES, PAIRS), atol=1e-4)
    assert [np.allclose(ours, then, atol=1e-4) for then in seen] == [False, True, False, False]
