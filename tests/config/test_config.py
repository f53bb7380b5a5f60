"""Every YAML composes, and bad values are refused with a line that names the key."""

import os
import subprocess
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException

from pipeline.config import conf_dir, register_schemas
from pipeline.config.compose import name_of
from pipeline.experiment.job import check_unused
from pipeline.infra.errors import one_line
from pipeline.records import InputError
from pipeline.sweep.grid import Grid, expand
from pipeline.sweep.plan import training_rows
from tests.conftest import compose_config

GROUPS = ("arch", "base", "dataset", "embedder", "experiment")
HYDRA = ("hydra_logging", "job_logging")
FILES = [(group, path.stem) for group in GROUPS for path in sorted((conf_dir() / group).glob("*"))]


def test_every_yaml_is_reached() -> None:
    listed = {f"{group}/{name}.yaml" for group, name in FILES}
    listed |= {"config.yaml", "hydra/launcher/slurm.yaml"}  # composed in test_launchers
    listed |= {f"hydra/{g}/pipeline.yaml" for g in HYDRA}
    assert {str(path.relative_to(conf_dir())) for path in conf_dir().rglob("*.yaml")} == listed


@pytest.mark.parametrize(("group", "name"), FILES)
def test_composes(group: str, name: str, tmp_path: Path) -> None:
    path = [f"dataset.path={tmp_path}"]
    needed = {
        "none": ["epochs=0"],
        "beir": path,
        "labelled": path,
        "model": ["base.path=org/name"],
    }.get(name, [])
    config = compose_config([f"{group}={name}", *needed])
    if group != "experiment":
        assert getattr(config, group).name == name


@pytest.mark.parametrize("name", [name for group, name in FILES if group == "experiment"])
def test_every_point_of_every_grid_composes(name: str) -> None:
    grid = Grid([f"experiment={name}"])
    names = [point.run_name for point in grid.points]
    assert len(set(names)) == len(names)
    # fine-tuning is one run, the others are grids with a control
    assert len(names) == 1 if name == "finetune" else "none_none_0neg_0ep" in names


def test_the_report_is_the_published_grid() -> None:
    points = {p.run_name: p for p in Grid(["experiment=report"]).points}
    colbert = points["colbert_modernbert_2neg_4ep"]
    assert (colbert.train.batch_size, colbert.train.learning_rate) == (128, 3e-6)
    cross_encoder = points["cross_encoder_modernbert_5neg_5ep"]
    assert (cross_encoder.train.batch_size, cross_encoder.train.learning_rate) == (256, 2e-5)
    assert training_rows(colbert) == 2_000_000
    assert {p.seed for p in points.values()} == {12}
    groups = {p.initialisation for p in points.values()}
    assert groups == {"none", "untrained", "dedicated", "scratch", "finetuned"}


def test_the_default_grid_is_the_promised_one() -> None:
    points = Grid(["experiment=pydocs"]).points
    trained = {(p.arch.name, p.base.name, p.negatives, p.epochs) for p in points if p.epochs > 0}
    assert trained == {
        (arch, base, negatives, epochs)
        for arch in ("cross_encoder", "colbert")
        for base in ("minilm_l6", "minilm_l3")
        for negatives in (1, 2)
        for epochs in (1, 2)
    }
    assert {p.initialisation for p in points} == {"none", "untrained", "scratch"}


def test_expand_is_a_union_of_products() -> None:
    assert expand(["a=1,2 b=3", "a=2 b=3"], ["c=4"]) == [
        ["a=1", "b=3", "c=4"],
        ["a=2", "b=3", "c=4"],
    ]
    assert expand([], ["a=1,2"]) == [["a=1"], ["a=2"]]
    assert expand(["a=1,2"], ["a=7"]) == [["a=7"]]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("negatives=-1", "negatives=-1: must be at least 0"),
        (
            "negatives=9",
            "negatives=9: only mining.depth=5 are mined per query, raise mining.depth",
        ),
        ("arch=none", "epochs=1: arch=none has nothing to train, set epochs=0"),
        ("index.batch_size=0", "index.batch_size=0: must be at least 1"),
        ("index.vector_index_above=-1", "index.vector_index_above=-1: must be at least 0"),
        ("negatives=0", "negatives=0: training needs at least 1"),
        ("train.learning_rate=7", "train.learning_rate=7.0: must be between 0 and 1"),
        ("eval.depth=3", "eval.depth=3: must be at least 10"),
        ("eval.top_k=[]", "eval.top_k=[]: needs one or more numbers >= 1"),
        ("mining.sampling=best", "mining.sampling=best: one of ('top', 'random')"),
        ("mining.last_rank=7", "mining.last_rank=7: the window must hold mining.depth=5 ranks"),
        ("hardware.precision=fp8", "hardware.precision=fp8: one of"),
        ("dataset.test_share=1", "dataset.test_share=1.0: must be above 0 and below 1"),
        ("dataset.dev_share=-0.1", "dataset.dev_share=-0.1: must be in [0, 1)"),
        ("dataset.folds=1", "dataset.folds=1: must be at least 2"),
        ("dataset.fold=1", "dataset.fold=1: must be 0 to dataset.folds - 1 = 0"),
        ("dataset.near_duplicate=0", "dataset.near_duplicate=0.0: above 0, up to 1"),
        ("latency.rerank_modes=[bm25]", "latency.rerank_modes=['bm25']: one or more of"),
    ],
)
def test_bad_values_name_their_key(override: str, said: str) -> None:
    labelled = ["dataset=labelled", "dataset.path=x"] if override.startswith("dataset.") else []
    with pytest.raises(InputError) as caught:
        compose_config([*labelled, override])
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("arch=cross", "Available options in 'arch': colbert cross_encoder none"),
        ("epochs=two", "Value 'two' of type 'str' could not be converted to Integer"),
    ],
)
def test_hydra_errors_become_one_line(override: str, said: str) -> None:
    with pytest.raises(HydraException) as caught:
        compose_config([override])
    line = one_line(caught.value)
    assert said in line
    assert "\n" not in line
    assert "search path" not in line


LISTED = " (python -m pipeline run --help lists the keys)"


@pytest.mark.parametrize("sign", ["", "+", "++"])
@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("train.lr", "did you mean train.learning_rate or train.lora_rank?"),
        ("learning_rat", "did you mean train.learning_rate or arch.learning_rate?"),
        ("negatvies", "did you mean negatives or retries?"),
        ("eval.topk", "did you mean eval.top_k or eval.overfetch?"),
    ],
)
def test_a_misspelt_key_is_refused_however_it_is_given(sign: str, key: str, said: str) -> None:
    with pytest.raises((InputError, HydraException)) as caught:
        compose_config([f"{sign}{key}=1"])
    assert one_line(caught.value) == f"{key}: no such key; {said}{LISTED}"


@pytest.mark.parametrize("sign", ["", "+", "++"])
def test_a_key_of_another_option_names_that(sign: str) -> None:
    with pytest.raises((InputError, HydraException)) as caught:
        compose_config([f"{sign}arch.document_length=64"])
    assert one_line(caught.value) == "arch.document_length: a key of arch=colbert only"
    with pytest.raises((InputError, HydraException)) as caught:
        compose_config([f"{sign}nothing.like.it=1"])
    assert one_line(caught.value).endswith(f": no such key{LISTED}")


def test_keys_of_hydra_can_be_appended() -> None:
    memory = "+hydra.launcher.ray.init.object_store_memory=null"
    master = Grid(["hydra/launcher=ray", memory, "grid=[]"]).master
    assert "object_store_memory" in master.hydra.launcher.ray.init


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


@pytest.mark.parametrize(
    ("words", "ran"),
    [
        ([], "-m pipeline"),
        (["EXPERIMENT=finetune"], "-m pipeline experiment=finetune"),
        (["ARGS=arch=colbert seed=1"], "-m pipeline arch=colbert seed=1"),
    ],
)
def test_make_run_takes_the_experiment_that_is_given(words: list[str], ran: str) -> None:
    done = _make("-n", "run", "VENV=none", *words)
    assert done.returncode == 0, done.stderr
    assert " ".join(done.stdout.splitlines()[-1].split()) == f"none/bin/python {ran}"


def test_make_refuses_a_variable_that_nothing_reads() -> None:
    done = _make("-n", "run", "arch=colbert")
    assert done.returncode == 2
    assert 'make run ARGS="arch=colbert"' in done.stderr


def _make(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "-f", str(conf_dir().parent / "Makefile"), *words],
        env={"PATH": os.environ["PATH"]},  # nothing of a make test that runs this
        capture_output=True,
        text=True,
        check=False,
    )


def test_runs_that_start_in_the_same_second_have_their_own_folders(tmp_path: Path) -> None:
    register_schemas()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        configs = [compose("config", return_hydra_config=True) for _ in range(2)]
    runs, sweeps = ([config.hydra[kind].dir for config in configs] for kind in ("run", "sweep"))
    assert len({*runs, *sweeps}) == 4
    model = Path(runs[0], "model")
    assert name_of(f"outputs/x/{model}") == "cross_encoder_minilm_l6_1neg_1ep"

    check_unused(tmp_path)
    (tmp_path / "model").mkdir()
    with pytest.raises(InputError, match=r"hydra.run.dir=.*: holds the model of another run"):
        check_unused(tmp_path)
