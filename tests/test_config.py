"""Every YAML composes, and bad values are refused with a line that names the key."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException

from pipeline.boundary import check_unused
from pipeline.config import conf_dir, register_schemas
from pipeline.config.overrides import name_of
from pipeline.errors import one_line
from pipeline.grid import Grid, expand
from pipeline.plan import training_rows
from pipeline.records import InputError
from tests.conftest import compose_config

GROUPS = ("arch", "base", "dataset", "embedder", "experiment")
HYDRA = ("help", "hydra_logging", "job_logging")
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
        ("negatives=9", "negatives=9: only mining.depth=5 are mined per query"),
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
        ("trian.learning_rate=1", "trian"),
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
