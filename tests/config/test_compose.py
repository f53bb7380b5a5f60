"""Errors of Hydra become one line; the names that a composed configuration gives."""

from pathlib import Path

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.errors import HydraException

from pipeline.config import conf_dir, register_schemas
from pipeline.config.compose import compose, name_of, with_named_base
from pipeline.config.datasets import LabelledConfig
from pipeline.experiment.job import check_unused
from pipeline.infra.errors import one_line
from pipeline.records import InputError
from pipeline.sweep.grid import expand
from tests.points import compose_config


@pytest.mark.parametrize(
    ("override", "said"),
    [
        (
            "arch=cross",
            "none of colbert, colbert_published, cross_encoder, cross_encoder_published, none",
        ),
        ("dataset=labeled", "none of beir, gooaq, labelled, pydocs; did you mean labelled?"),
        ("epochs=two", "must be a whole number"),
        ("negatives=two", "must be a whole number"),
        ("train.learning_rate=fast", "must be a number"),
        ("force=maybe", "must be true or false"),
        ("latency.limits=x", "must be a list, as in [5,10]"),
        (
            "negatives=1,2",
            "several values make a grid: python -m pipeline sweep negatives=1,2 (a list is [1,2])",
        ),
        ("embedder=bge", "none of minilm_l6; any other is embedder.path=ORG/NAME or a folder"),
    ],
)
def test_hydra_errors_become_one_line(override: str, said: str) -> None:
    with pytest.raises(HydraException) as caught:
        compose_config([override])
    line = one_line(caught.value)
    assert line == f"{override}: {said}"
    assert "\n" not in line
    assert "search path" not in line


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("dataset.path=pairs (1).csv", "quote it: \"dataset.path='pairs (1).csv'\""),
        ("base=it's (1)", "quote it: \"base='it\\'s (1)'\""),
        ("dataset.path=~/pairs.csv", "~ is not expanded here, write the whole path"),
    ],
)
def test_a_value_that_hydra_can_not_read_comes_with_what_to_write(override: str, said: str) -> None:
    with pytest.raises(HydraException) as caught:
        compose_config([override])
    assert one_line(caught.value) == f"{override}: {said}"


def test_a_base_that_is_no_option_may_be_a_run_or_any_model() -> None:
    with pytest.raises(HydraException) as caught:
        compose_config(["base=mini_l6"])
    line = one_line(caught.value)
    assert line.endswith("base=ORG/NAME or a folder; did you mean minilm_l6?")
    assert "base=run:NAME" in line and " model," not in line


def test_an_unquoted_grid_comes_with_what_to_write() -> None:
    with pytest.raises(HydraException) as caught:
        expand([], ["grid=[arch=colbert"])
    assert one_line(caught.value).startswith("grid: quote each line, as in \"grid=['arch=")


@pytest.mark.parametrize("text", ["1e5", "007", "1_000", "true", "1.50", "inf"])
def test_a_text_that_looks_like_a_number_is_kept_as_given(text: str) -> None:
    keys = ("run_name", "dataset.path", "dataset.columns.text", "base.name")
    config = compose(["dataset=labelled", *(f"{key}={text}" for key in keys)])
    assert isinstance(config.dataset, LabelledConfig)
    found = (config.run_name, config.dataset.path, config.dataset.columns.text, config.base.name)
    assert found == (text,) * 4


def test_what_hydra_reads_as_a_text_or_as_several_values_stays() -> None:
    words = ["run_name=a1", "run_name='1e5'", "run_name=1e5,2e5", "run_name=null", "seed=007"]
    assert with_named_base(words) == words


def test_runs_that_start_in_the_same_second_have_their_own_folders(tmp_path: Path) -> None:
    register_schemas()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        configs = [hydra_compose("config", return_hydra_config=True) for _ in range(2)]
    runs, sweeps = ([config.hydra[kind].dir for config in configs] for kind in ("run", "sweep"))
    assert len({*runs, *sweeps}) == 4
    model = Path(runs[0], "model")
    assert name_of(f"outputs/x/{model}") == "cross_encoder_minilm_l6_1neg_1ep"

    check_unused(tmp_path)
    (tmp_path / "model").mkdir()
    with pytest.raises(InputError, match=r"hydra.run.dir=.*: holds the model of another run"):
        check_unused(tmp_path)


def test_the_experiment_is_named_after_the_data_set() -> None:
    words = ["dataset=beir", "dataset.path=some/scifact"]
    assert compose_config(words).tracking.experiment == "scifact"
    assert compose_config([*words, "tracking.experiment=mine"]).tracking.experiment == "mine"
    assert compose_config([]).tracking.experiment == "pydocs"
