"""Every YAML composes, and the grids hold the points that they promise."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from pipeline.config import conf_dir
from pipeline.config.models import ColbertConfig
from pipeline.sweep.grid import Grid
from pipeline.sweep.planned_work import training_rows
from tests.points import compose_config

Grids = Callable[[str], Grid]

GROUPS = ("arch", "base", "dataset", "embedder", "experiment")
BASES = ("minilm_l6", "minilm_l3")
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
        "none": ["epochs=0"] if group == "arch" else ["epochs=0", "arch=none"],
        "beir": path,
        "labelled": path,
        "model": ["base.path=org/name"],
    }.get(name, [])
    config = compose_config([f"{group}={name}", *needed])
    if group != "experiment":
        own = name in ("beir", "labelled")  # data of one's own are named after their folder or file
        assert getattr(config, group).name == (
            tmp_path.name if own else name.removesuffix("_published")
        )


@pytest.fixture(scope="module")
def grids() -> Grids:
    """The composed grid of an experiment; composing one takes seconds."""
    return cache(lambda name: Grid([f"experiment={name}"]))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for group, name in FILES if group == "experiment"])
def test_every_point_of_every_grid_composes(name: str, grids: Grids) -> None:
    points = grids(name).points
    names = [point.run_name for point in points]
    assert len({(point.run_name, point.seed) for point in points}) == len(points)
    # Fine-tuning is one run, the others are grids with a control.
    assert len(names) == 1 if name == "finetune" else "none_none_0neg_0ep" in names


@pytest.mark.slow
def test_the_report_is_the_published_grid(grids: Grids) -> None:
    points = {p.run_name: p for p in grids("report").points}
    colbert = points["colbert_modernbert_2neg_4ep"]
    assert (colbert.train.batch_size, colbert.train.learning_rate) == (128, 3e-6)
    assert isinstance(colbert.arch, ColbertConfig)
    assert (colbert.arch.query_length, colbert.arch.document_length) == (32, 180)
    cross_encoder = points["cross_encoder_modernbert_5neg_5ep"]
    assert (cross_encoder.train.batch_size, cross_encoder.train.learning_rate) == (256, 2e-5)
    assert (cross_encoder.arch.loss, cross_encoder.train.head_learning_rate) == ("bce", None)
    assert training_rows(colbert) == 2_000_000
    assert {p.seed for p in points.values()} == {12}
    groups = {p.initialisation for p in points.values()}
    assert groups == {"none", "untrained", "dedicated", "scratch", "finetuned"}


@pytest.mark.slow
def test_the_default_grid_varies_every_axis(grids: Grids) -> None:
    points = grids("pydocs").points
    trained = {(p.arch.name, p.base.name, p.negatives, p.epochs) for p in points if p.epochs > 0}
    assert trained == {
        ("cross_encoder", "minilm_l6", 3, 1),
        *(("colbert", base, 3, 1) for base in BASES),
        *(("colbert", "minilm_l3", 1, epochs) for epochs in (1, 2)),
    }
    assert {p.initialisation for p in points} == {"none", "untrained", "scratch"}
