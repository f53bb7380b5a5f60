"""Bases of every kind train with fp32 weights, and their library alone gives the same scores."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder

from pipeline.config.models import ArchConfig, ColbertConfig, CrossEncoderConfig
from pipeline.evaluation.quality import evaluate
from pipeline.infra.hardware import Hardware
from pipeline.protocols import FitRequest, Reranker
from pipeline.records import Hit, InputError, TrainingExample
from pipeline.rerankers import load_reranker
from pipeline.rerankers.saved import load_saved
from tests.odd_models import decoder, encoder
from tests.points import compose_config

FP32 = Hardware("cpu", "fp32", 1, "test")
CROSS_ENCODER = CrossEncoderConfig(name="cross_encoder", max_length=32)
COLBERT = ColbertConfig(name="colbert", document_length=32, query_length=16, embedding_size=8)
QUERY = "merge two configurations"
TEXTS = ["Merges the other config into this one.", "Draws a graph with a layout.", "Tea."]
PASSAGES = dict(zip("abc", TEXTS, strict=True))
PAIRS = [("q", name) for name in PASSAGES]

BASES: dict[str, Callable[[Path], Path]] = {
    "fp16": lambda folder: encoder(folder, torch.float16),
    "bf16": lambda folder: encoder(folder, torch.bfloat16),
    "three labels": lambda folder: encoder(folder, labels=3),
    "fp16 scorer": lambda folder: encoder(folder, torch.float16, labels=1),
    "gpt2": lambda folder: decoder(folder, "gpt2"),
    "qwen2": lambda folder: decoder(folder, "qwen2"),
    "qwen2 scorer": lambda folder: decoder(folder, "qwen2_scorer"),
}


def loaded(folder: Path, arch: ArchConfig) -> Reranker:
    reranker = load_reranker(folder, arch, FP32, 8, seed=3)
    assert reranker is not None
    return reranker


def scores(reranker: Reranker) -> list[float]:
    found: list[float] = reranker.score_pairs({"q": QUERY}, PASSAGES, PAIRS).tolist()
    return found


def fit(reranker: Reranker, loss: str, folder: Path, lora_rank: int | None = None) -> None:
    """Two steps on one row."""
    arguments = {
        "output_dir": str(folder),
        "max_steps": 2,
        "per_device_train_batch_size": 2,
        "learning_rate": 1e-2,
        "use_cpu": True,
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
    }
    request = FitRequest(
        rows=[TrainingExample(QUERY, TEXTS[0], 1, 1.0, [TEXTS[1]])] * 4,
        loss=loss,
        head_learning_rate=None,
        dropout=None,
        negatives=1,
        arguments=arguments,
        dev_score=None,
        patience=None,
        lora_rank=lora_rank,
        checkpoint_seconds=None,
        on_log=lambda step, metrics: None,
    )
    reranker.fit(request)


@pytest.mark.slow
@pytest.mark.parametrize("base", BASES)
def test_a_cross_encoder_trains_in_fp32_and_its_library_gives_the_same_scores(
    base: str, tmp_path: Path
) -> None:
    reranker = loaded(BASES[base](tmp_path / "base"), CROSS_ENCODER)
    assert {weights.dtype for weights in reranker.model.parameters()} == {torch.float32}
    before = scores(reranker)
    fit(reranker, "bce", tmp_path / "training")
    ours = scores(reranker)
    assert np.isfinite(ours).all() and ours != pytest.approx(before, abs=1e-4)
    reranker.save(tmp_path / "model")
    plain = CrossEncoder(str(tmp_path / "model"), device="cpu")
    assert plain.predict([(QUERY, text) for text in TEXTS]).tolist() == pytest.approx(
        ours, abs=1e-5
    )
    again = load_saved("model", tmp_path / "model", FP32, 8)
    found = again.score_pairs({"q": QUERY}, PASSAGES, PAIRS)
    assert found.tolist() == pytest.approx(ours, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("base", ["three labels", "qwen2"])
def test_adapters_train_beside_a_new_head(base: str, tmp_path: Path) -> None:
    reranker = loaded(BASES[base](tmp_path / "base"), CROSS_ENCODER)
    before = {name: weights.clone() for name, weights in reranker.model.state_dict().items()}
    fit(reranker, "bce", tmp_path / "training", lora_rank=2)
    after = reranker.model.state_dict()
    assert after.keys() == before.keys()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert any("score.weight" in name or "classifier.weight" in name for name in changed)
    assert not any("embed" in name for name in changed)


def test_the_same_seed_draws_the_same_new_head(tmp_path: Path) -> None:
    folder = encoder(tmp_path, labels=3)
    assert scores(loaded(folder, CROSS_ENCODER)) == scores(loaded(folder, CROSS_ENCODER))


@pytest.mark.slow
def test_plain_predict_gives_our_fused_order(tmp_path: Path) -> None:
    """A sigmoid would tie large scores: 40 and 60 are both 1."""
    reranker = loaded(encoder(tmp_path / "base", labels=1), CROSS_ENCODER)
    head: Any = reranker.model.get_submodule("model.classifier")
    with torch.no_grad():
        head.weight.mul_(2000)
        head.bias.fill_(60)
    ours = dict(zip(PASSAGES, scores(reranker), strict=True))
    assert min(ours.values()) > 20
    reranker.save(tmp_path / "model")
    plain = CrossEncoder(str(tmp_path / "model"), device="cpu")
    predicted = plain.predict([(QUERY, text) for text in TEXTS]).tolist()
    theirs = dict(zip(PASSAGES, predicted, strict=True))
    first_stage = {"vector": {"q": [Hit("c", 0.9), Hit("b", 0.8), Hit("a", 0.7)]}}
    config = compose_config(["eval.top_k=[3]", "eval.overfetch=1"]).eval

    def fused(found: dict[str, float]) -> list[str]:
        result = evaluate(first_stage, {"q": {"a": 1}}, config, {"q": found}, {"vector": {3: 0.6}})
        return [hit.doc_id for hit in result.rankings["vector_fused", 3]["q"]]

    assert fused(theirs) == fused(ours)


@pytest.mark.slow
def test_a_colbert_trains_in_fp32_from_half_precision(tmp_path: Path) -> None:
    reranker = loaded(encoder(tmp_path / "base", torch.float16), COLBERT)
    assert {weights.dtype for weights in reranker.model.parameters()} == {torch.float32}
    before = scores(reranker)
    fit(reranker, "contrastive", tmp_path / "training")
    assert np.isfinite(scores(reranker)).all() and scores(reranker) != before


def test_a_tokenizer_without_an_end_token_is_refused(tmp_path: Path) -> None:
    folder = decoder(tmp_path, "gpt2")
    for file in ("tokenizer_config.json", "special_tokens_map.json"):
        if (folder / file).exists():
            text = (folder / file).read_text()
            (folder / file).write_text(text.replace('"eos_token"', '"no_token"'))
    with pytest.raises(InputError, match="neither a padding token nor an end-of-text token"):
        loaded(folder, CROSS_ENCODER)
