"""The version of a stage's code: what changes it and what does not."""

import ast
import shutil
from importlib import metadata
from pathlib import Path

import pytest

from pipeline.infra.code_version import PACKAGE, STAGES, version_under

SCORED = {"teacher", "model", "token vectors", "scores", "latency"}
"""The stages in which a reranker computes."""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the sources."""
    ignored = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(PACKAGE, tmp_path / "pipeline", ignore=ignored))


def versions(package: Path) -> dict[str, str]:
    return {stage: version_under(package, stage) for stage in STAGES}


@pytest.fixture(scope="module")
def before() -> dict[str, str]:
    """The versions of the sources as they are, which a copy has as well."""
    return versions(PACKAGE)


def changed(package: Path, before: dict[str, str]) -> set[str]:
    return {stage for stage, version in versions(package).items() if version != before[stage]}


def test_a_copy_has_the_same_versions(package: Path, before: dict[str, str]) -> None:
    assert versions(package) == before


@pytest.mark.slow
def test_docstrings_and_comments_change_nothing(package: Path, before: dict[str, str]) -> None:
    edited = 0
    for path in package.rglob("*.py"):
        source = path.read_text("utf-8")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for text in (node.value, node.value.partition("\n")[0]):
                    if source.count(f'"""{text}') == 1:
                        source = source.replace(f'"""{text}', f'"""Edited: {text}')
                        edited += 1
                        break
        path.write_text(f"{source}\n# a comment at the end\n", encoding="utf-8")
    assert edited > 500
    assert changed(package, before) == set()


@pytest.mark.parametrize(
    ("file", "stages"),
    [
        ("report/markdown.py", set()),
        ("commands/plan.py", set()),
        ("sweep/launch.py", set()),
        ("tracking/writer.py", set()),
        ("config/suggestions.py", set()),
        ("infra/stage_cache.py", set()),
        ("infra/model_files.py", {"base"}),
        ("infra/hardware.py", {*SCORED, "index", "candidates", "negatives"}),
        ("infra/batches.py", {*SCORED, "index", "candidates", "negatives"}),
        ("data/splits.py", {"dataset", "audit", "model"}),
        ("audit/checks/labels.py", {"audit"}),
        ("retrieval/index.py", {"index", "candidates", "negatives", "model", "latency"}),
        ("retrieval/fusion.py", {"candidates", "negatives", "teacher", "model", "latency"}),
        ("training/negatives.py", {"negatives", "model"}),
        ("training/training_set.py", {"negatives", "teacher", "model"}),
        ("training/train.py", {"model"}),
        ("rerankers/colbert.py", SCORED),
        ("evaluation/quality.py", {"dev score", "point"}),
        ("evaluation/latency.py", {"latency", "point"}),
        ("experiment/recipe.py", {"point"}),
    ],
)
def test_a_line_of_code_changes_the_stages_that_it_is_part_of(
    file: str, stages: set[str], package: Path, before: dict[str, str]
) -> None:
    path = package / file
    path.write_text(path.read_text("utf-8") + "\nEDITED = True\n", encoding="utf-8")
    assert changed(package, before) == stages


@pytest.mark.parametrize(
    ("library", "stages"),
    [
        ("accelerate", {"model"}),
        ("peft", {"model"}),
        ("lancedb", {"index", "candidates", "negatives", "token vectors", "latency"}),
        ("pylate", SCORED),
        ("openvino", {"scores", "latency"}),
        ("mlflow", set()),
    ],
)
def test_a_new_library_changes_the_stages_that_it_computes(
    library: str,
    stages: set[str],
    before: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installed = metadata.version

    def version(name: str) -> str:
        return "99.0" if name == library else installed(name)

    monkeypatch.setattr(metadata, "version", version)
    assert changed(PACKAGE, before) == stages


def test_every_named_module_exists() -> None:
    for code in STAGES.values():
        for module in code.modules:
            path = PACKAGE / module.replace(".", "/")
            assert path.is_dir() or path.with_suffix(".py").is_file(), module
