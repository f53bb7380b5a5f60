"""Both trainers on real weights: they learn, repeat exactly, keep the best checkpoint."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.config.stages import TrainConfig
from pipeline.experiment.shared import Shared
from pipeline.infra.hardware import Hardware
from pipeline.infra.model_files import prepare_base
from pipeline.protocols import Reranker
from pipeline.records import InputError
from pipeline.rerankers import load_reranker
from pipeline.rerankers.cross_encoder import CrossEncoderReranker
from pipeline.training.negatives import TrainingSet
from pipeline.training.schedule import plan
from pipeline.training.train import train
from tests.conftest import Compose

ARCHES = ("cross_encoder", "colbert")
QUERIES = {"q": "merge two configurations"}
PASSAGES = {"a": "Merges the other config into this one.", "b": "Draws a graph with a layout."}
PAIRS = [("q", "a"), ("q", "b")]


def test_plan_counts_steps_and_pairs() -> None:
    config = TrainConfig(batch_size=16)
    # 100 rows x (1 + 2) pairs: ceil(300 / 16) = 19 steps of pairs, ceil(100 / 16) = 7 of queries
    assert plan("bce", 100, 100, 2, 3, config).steps == 57
    assert plan("contrastive", 100, 100, 2, 3, config).steps == 21
    assert plan("contrastive", 100, 100, 2, 3, config).pairs == 900
    assert plan("bce", 100, 100, 2, 3, config).pairs == 900
    # 80 lists: ceil(80 / 16) = 5 steps over 100 relevant passages and 80 x 2 negatives
    assert plan("lambda", 100, 80, 2, 3, config).steps == 15
    assert plan("lambda", 100, 80, 2, 3, config).pairs == 780


def test_plan_at_equal_compute() -> None:
    config = TrainConfig(batch_size=10, max_steps=5)
    assert plan("bce", 100, 100, 1, 9, config).steps == 5
    assert plan("bce", 100, 100, 1, 9, config).pairs == 50
    assert plan("contrastive", 100, 100, 3, 9, config).pairs == 200


def test_an_interval_longer_than_the_run_is_refused() -> None:
    with pytest.raises(InputError, match=r"train.eval_every=50: longer than the run's 7 steps"):
        plan("contrastive", 100, 100, 1, 1, TrainConfig(batch_size=16, eval_every=50))
    assert plan("contrastive", 100, 100, 1, 1, TrainConfig(eval_every=0.5)).eval_steps == 3


def trained(
    arch: str, shared: Shared, small: Compose, machine: Hardware, folder: Path, *overrides: str
) -> tuple[Reranker, list[tuple[int, Mapping[str, float]]]]:
    config = small(f"arch={arch}", "base=modernbert_tiny", "train.learning_rate=1e-3", *overrides)
    base = prepare_base(config.base, Path(config.output_dir) / "cache")
    reranker = load_reranker(base, config.arch, machine, 32, seed=config.seed)
    assert reranker is not None
    assert shared.negatives is not None
    rows = TrainingSet(shared.negatives, shared.dataset, 2)
    schedule = plan(config.arch.loss, len(rows), rows.queries, 2, config.epochs, config.train)
    logs: list[tuple[int, Mapping[str, float]]] = []
    scores = iter([0.9, 0.1])  # the first checkpoint is the best one
    train(
        reranker,
        rows.examples,
        schedule,
        config.train,
        machine,
        config.seed,
        folder,
        lambda: next(scores),
        lambda step, metrics: logs.append((step, metrics)),
    )
    return reranker, logs


@pytest.mark.parametrize("arch", ARCHES)
def test_learns_and_repeats(
    arch: str, shared: Shared, small: Compose, machine: Hardware, tmp_path: Path
) -> None:
    first, logs = trained(arch, shared, small, machine, tmp_path / "a", "epochs=4")
    losses = [metrics["train/loss"] for _, metrics in logs if "train/loss" in metrics]
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    again, _ = trained(arch, shared, small, machine, tmp_path / "b", "epochs=4")
    scores = first.score_pairs(QUERIES, PASSAGES, PAIRS)
    assert np.array_equal(scores, again.score_pairs(QUERIES, PASSAGES, PAIRS))
    assert scores.shape == (2,)


@pytest.mark.parametrize("arch", ARCHES)
def test_the_best_checkpoint_remains(
    arch: str, shared: Shared, small: Compose, machine: Hardware, tmp_path: Path
) -> None:
    best, logs = trained(
        arch, shared, small, machine, tmp_path / "a", "train.max_steps=4", "train.eval_every=0.5"
    )
    curve = [(step, m["train/dev_ndcg_at_10"]) for step, m in logs if "train/dev_ndcg_at_10" in m]
    assert [value for _, value in curve] == [0.9, 0.1]
    last, _ = trained(arch, shared, small, machine, tmp_path / "b", "train.max_steps=4")
    scores = best.score_pairs(QUERIES, PASSAGES, PAIRS)
    assert not np.array_equal(scores, last.score_pairs(QUERIES, PASSAGES, PAIRS))


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("base", ["modernbert_tiny", "minilm_l3"])
def test_saved_models_load_with_their_library_alone(
    arch: str, base: str, small: Compose, machine: Hardware, tmp_path: Path
) -> None:
    config = small(f"arch={arch}", f"base={base}")
    folder = prepare_base(config.base, Path(config.output_dir) / "cache")
    reranker = load_reranker(folder, config.arch, machine, 32, seed=1)
    assert reranker is not None
    reranker.save(tmp_path)
    assert not list(tmp_path.rglob("*.bin"))
    ours = reranker.score_pairs(QUERIES, PASSAGES, PAIRS)
    texts = [PASSAGES["a"], PASSAGES["b"]]
    if arch == "cross_encoder":
        import torch
        from sentence_transformers import CrossEncoder

        pairs = [(QUERIES["q"], text) for text in texts]
        theirs = CrossEncoder(str(tmp_path)).predict(pairs, activation_fn=torch.nn.Identity())
    else:
        from pylate.models import ColBERT
        from pylate.rank import rerank

        model = ColBERT(str(tmp_path), device="cpu")
        query = model.encode([QUERIES["q"]], is_query=True)
        documents = [model.encode(texts, is_query=False)]
        ranked = {r["id"]: r["score"] for r in rerank([["a", "b"]], query, documents)[0]}
        theirs = [ranked["a"], ranked["b"]]
    assert np.allclose(ours, theirs, atol=1e-5)


def test_minilm_l3_is_every_second_layer(small: Compose) -> None:
    from safetensors.numpy import load_file

    cache = Path(small().output_dir) / "cache"
    whole = load_file(prepare_base(small("base=minilm_l6").base, cache) / "model.safetensors")
    half = load_file(prepare_base(small("base=minilm_l3").base, cache) / "model.safetensors")
    name = "encoder.layer.{}.output.dense.weight"
    for ours, theirs in enumerate((0, 2, 4)):
        assert np.array_equal(half[name.format(ours)], whole[name.format(theirs)])
    assert name.format(3) not in half


@pytest.mark.parametrize("path", ["no-such/model", "not a model!", "/no/such/folder"])
def test_a_base_that_is_nowhere_is_refused(
    path: str, small: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    config = small(f"base.path='{path}'")
    with pytest.raises(InputError, match=r"base\.path=.*offline: minilm_l6, minilm_l3"):
        prepare_base(config.base, Path(config.output_dir) / "cache")


@pytest.mark.parametrize("base", ["modernbert_tiny", "minilm_l3"])
def test_a_long_passage_of_many_queries_scores_as_it_would_in_full(
    base: str, small: Compose
) -> None:
    config = small("arch=cross_encoder", f"base={base}", "arch.max_length=24")
    folder = prepare_base(config.base, Path(config.output_dir) / "cache")
    fp32 = Hardware("cpu", "fp32", 2, "test")
    reranker = load_reranker(folder, config.arch, fp32, 32, seed=1)
    assert isinstance(reranker, CrossEncoderReranker)
    passages = {
        "long": "antidisestablishmentarianism, " * 200,
        "no spaces": "https://example.org/" + "a-very-long/path_" * 200,
        "han": "重排序模型" * 100,
        "emoji": "\U0001f600\u00e9 caf\u00e9\n\n " * 100,
        "short": "Draws a graph.",
        "blank": " \n ",
        "empty": "",
    }
    queries = {"a": "graph", "b": "merge " * 8, "c": "layout of everything " * 20}
    pairs = [(query, passage) for query in queries for passage in passages]
    full = [(queries[query], passages[passage]) for query, passage in pairs]
    expected = [
        reranker.model.predict([pair], activation_fn=torch.nn.Identity())[0] for pair in full
    ]
    assert len(set(expected)) > 10
    assert reranker.score_pairs(queries, passages, pairs) == pytest.approx(expected, abs=1e-5)
