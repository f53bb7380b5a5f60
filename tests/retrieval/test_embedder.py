"""The embedder: saved prompts are used for what they are for, and weights are fp32."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.config.models import EmbedderConfig
from pipeline.infra.hardware import Hardware
from pipeline.records import InputError
from pipeline.retrieval.embedder import Embedder
from tests.odd_models import bi_encoder

FP32 = Hardware("cpu", "fp32", 1, "test")
PROMPTS = {"query": "zebra quantum harbour ", "document": "kettle: "}
TEXT = "merges the other config into this one"


def embedder(folder: Path, **settings: object) -> Embedder:
    config = EmbedderConfig(name="e", path=str(folder), max_length=32, **settings)  # type: ignore[arg-type]
    return Embedder(config, FP32)


@pytest.mark.slow
@pytest.mark.parametrize("default", [None, "query"])
def test_saved_prompts_are_put_before_queries_and_passages(
    default: str | None, tmp_path: Path
) -> None:
    folder = bi_encoder(tmp_path, prompts=PROMPTS, default_prompt_name=default)
    saved = embedder(folder)
    assert (saved.query_prompt, saved.passage_prompt) == (PROMPTS["query"], PROMPTS["document"])
    bare = embedder(folder, query_prefix="", passage_prefix="")
    query, passage = saved.encode_queries([TEXT]), saved.encode_passages([TEXT])
    plain = bare.encode_passages([TEXT])
    assert np.allclose(query, bare.encode_passages([PROMPTS["query"] + TEXT]), atol=1e-6)
    assert np.allclose(passage, bare.encode_passages([PROMPTS["document"] + TEXT]), atol=1e-6)
    assert np.allclose(plain, bare.encode_queries([TEXT]), atol=1e-6)
    assert not np.allclose(plain, query, atol=1e-3)
    assert not np.allclose(plain, passage, atol=1e-3)


def test_a_configured_prefix_comes_first(tmp_path: Path) -> None:
    folder = bi_encoder(tmp_path, prompts={"passage": "kettle: "})
    mixed = embedder(folder, query_prefix="q: ")
    assert (mixed.query_prompt, mixed.passage_prompt) == ("q: ", "kettle: ")


@pytest.mark.slow
def test_half_precision_weights_compute_in_fp32(tmp_path: Path) -> None:
    model = embedder(bi_encoder(tmp_path, torch.float16))
    assert {weights.dtype for weights in model._model.parameters()} == {torch.float32}
    assert (model.query_prompt, model.passage_prompt) == ("", "")


def test_a_length_above_the_positions_is_refused(tmp_path: Path) -> None:
    config = EmbedderConfig(name="e", path=str(bi_encoder(tmp_path)), max_length=65)
    with pytest.raises(InputError, match=r"mining\.embedder\.max_length=65: .* at most 64 tokens"):
        Embedder(config, FP32, key="mining.embedder")
