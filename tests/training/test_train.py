"""Both trainers on real weights: they learn, repeat exactly, keep the best checkpoint."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder

from pipeline.infra.hardware import Hardware
from pipeline.infra.model_files import prepare_base
from pipeline.infra.stage_cache import StageCache
from pipeline.protocols import Reranker
from pipeline.records import TrainingExample
from pipeline.rerankers import load_reranker
from pipeline.rerankers.cross_encoder import CrossEncoderReranker
from pipeline.training.schedule import plan
from pipeline.training.train import train
from tests.conftest import Compose
from tests.texts import PAIRS, PASSAGES, QUERIES
from tests.training.conftest import Curve, Train

ARCHES = ("cross_encoder", "colbert")


@pytest.mark.slow
@pytest.mark.parametrize("arch", ARCHES)
def test_learns_and_repeats(arch: str, fitted: Train) -> None:
    words = (f"arch={arch}", "train.learning_rate=1e-3", "epochs=4", "train.max_steps=null")
    curve: Curve = []
    first, _ = fitted(*words, negatives=2, curve=curve)
    losses = [metrics["train/loss"] for _, metrics in curve if "train/loss" in metrics]
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    again, _ = fitted(*words, negatives=2)
    scores = first.score_pairs(QUERIES, PASSAGES, PAIRS)
    assert np.array_equal(scores, again.score_pairs(QUERIES, PASSAGES, PAIRS))
    assert scores.shape == (2,)


@pytest.mark.slow
@pytest.mark.parametrize("arch", ARCHES)
def test_the_best_checkpoint_remains(arch: str, fitted: Train) -> None:
    words = (f"arch={arch}", "train.learning_rate=1e-3")
    curve: Curve = []
    measured = iter([0.9, 0.1])  # the first checkpoint is the best one
    best, _ = fitted(*words, "train.eval_every=0.5", dev_score=lambda: next(measured), curve=curve)
    known = [metrics["train/dev_score"] for _, metrics in curve if "train/dev_score" in metrics]
    assert known == [0.9, 0.1]
    last, _ = fitted(*words)
    scores = best.score_pairs(QUERIES, PASSAGES, PAIRS)
    assert not np.array_equal(scores, last.score_pairs(QUERIES, PASSAGES, PAIRS))


@pytest.mark.slow
@pytest.mark.parametrize("arch", ARCHES)
def test_the_new_layers_learn_at_their_own_rate(arch: str, fitted: Train) -> None:
    words = (f"arch={arch}", "train.max_steps=3", "train.learning_rate=1e-12")
    start, _ = fitted(*words, "train.head_learning_rate=null")
    moved, _ = fitted(*words, "train.head_learning_rate=1e-2")
    before, after = start.model.state_dict(), moved.model.state_dict()
    changed = {name for name in before if not before[name].allclose(after[name], atol=1e-6)}
    behind = {"cross_encoder": ("model.classifier.", "model.head."), "colbert": ("1.linear.",)}
    assert {name for name in before if name.startswith(behind[arch])} == changed


@pytest.mark.slow
def test_a_cross_encoder_trains_on_fewer_tokens_than_it_serves(
    small: Compose, machine: Hardware, tmp_path: Path
) -> None:
    config = small(
        "arch=cross_encoder",
        "base=modernbert_tiny",
        "arch.max_length=32",
        "arch.training_max_length=8",
        "train.max_steps=2",
        "train.eval_every=1",
    )
    base = prepare_base(config.base, StageCache.of(config))
    lengths: list[int] = []
    scores = []
    for end in ("of this configuration", "with a kettle of tea"):
        reranker = load_reranker(base, config.arch, machine, 32, seed=1)
        assert isinstance(reranker, CrossEncoderReranker)

        def dev_score(model: CrossEncoder = reranker.model) -> float:
            lengths.append(model.max_length)
            return 0.5

        row = TrainingExample("merge", f"Merges the other into one {end}", 1, 1.0, ["A graph."])
        schedule = plan("lce", 1, 1, 1, 1, config.train)
        train(
            reranker,
            partial(iter, [row]),
            schedule,
            config.train,
            hardware=machine,
            seed=1,
            folder=tmp_path / end,
            on_log=lambda step, metrics: None,
            dev_score=dev_score,
        )
        scores.append(reranker.score_pairs(QUERIES, PASSAGES, PAIRS))
        lengths.append(reranker.model.max_length)
    assert np.array_equal(
        scores[0], scores[1]
    )  # What differs lies behind the tokens that training reads.
    assert set(lengths) == {32}


@pytest.mark.slow
@pytest.mark.parametrize("arch", ARCHES)
def test_weight_decay_warm_up_and_dropout_are_those_of_the_configuration(
    arch: str, fitted: Train
) -> None:
    """The learning rate is 0, 1/2, 1 and 1/2 of 1e-4 in the four steps.

    So a decay of 1000 takes 0%, 5%, 10% and 5% from the weights, beside which Adam's steps are
    small.
    """
    before: list[torch.Tensor] = []
    models: list[torch.nn.Module] = []
    dropped: list[set[float]] = []

    def embeddings(model: torch.nn.Module) -> torch.Tensor:
        (found,) = (w for name, w in model.named_parameters() if "tok_embeddings" in name)
        return found.detach().clone()

    def wrap(reranker: Reranker) -> Reranker:
        models.append(reranker.model)
        before.append(embeddings(reranker.model))
        return reranker

    def dev_score() -> float:
        layers = [m for m in models[0].modules() if isinstance(m, torch.nn.Dropout)]
        dropped.append({layer.p for layer in layers})
        return 0.5 + len(dropped)

    trained, _ = fitted(
        f"arch={arch}",
        "train.learning_rate=1e-4",
        "train.weight_decay=1000",
        "train.warmup=0.5",
        "train.dropout=0.3",
        "train.eval_every=4",
        dev_score=dev_score,
        wrap=wrap,
    )
    assert dropped == [{0.3}]
    expected = 0.95 * 0.9 * 0.95 * before[0]
    assert torch.allclose(embeddings(trained.model), expected, atol=1e-3)
