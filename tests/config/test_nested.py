"""Messages about a nested data set or embedder name the key that a user can change."""

from pathlib import Path
from typing import cast

import pytest

from pipeline.config import KEYS
from pipeline.config.nested import renamed
from pipeline.config.preflight import check_files
from pipeline.experiment.forgetting import prepare_general
from pipeline.experiment.shared import Shared
from pipeline.experiment.start import Start
from pipeline.infra.hardware import Hardware
from pipeline.infra.stage_cache import StageCache
from pipeline.records import InputError
from tests.points import compose_config

FINETUNE = ("experiment=finetune", "dataset=labelled")


def test_only_keys_are_renamed() -> None:
    message = "dataset.path=/data/dataset.csv: lower dataset.max_corpus; dataset.csv is no key"
    assert renamed(message, "forgetting.dataset", KEYS) == (
        "forgetting.dataset.path=/data/dataset.csv: lower forgetting.dataset.max_corpus; "
        "dataset.csv is no key"
    )
    message = "embedder.path=x, mining.embedder.path=y"
    assert (
        renamed(message, "mining.embedder", KEYS)
        == "mining.embedder.path=x, mining.embedder.path=y"
    )


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("forgetting.dataset.max_corpus=0", "forgetting.dataset.max_corpus=0: must be at least 1"),
        ("mining.embedder.max_length=2", "mining.embedder.max_length=2: must be at least 8"),
        ("embedder.max_length=2", "embedder.max_length=2: must be at least 8"),
    ],
)
def test_bad_values_of_nested_parts(override: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        compose_config([*FINETUNE, "dataset.path=x", override])
    assert str(caught.value) == said


def test_a_general_data_set_that_is_missing(tmp_path: Path, machine: Hardware) -> None:
    file = tmp_path / "pairs.csv"
    file.touch()
    general = ["dataset@forgetting.dataset=beir", f"forgetting.dataset.path={tmp_path / 'nowhere'}"]
    config = compose_config([*FINETUNE, f"dataset.path={file}", *general])
    named = r"^forgetting\.dataset\.path=.*nowhere"
    with pytest.raises(InputError, match=named):
        check_files(config)
    assert config.forgetting.dataset is not None
    start = Start(config, tmp_path, cast(Shared, None), machine, StageCache(tmp_path))
    with pytest.raises(InputError, match=named):
        prepare_general(start, config.forgetting.dataset)
