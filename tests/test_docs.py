"""The pages for people name modules, files and links that exist."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
README = ROOT / "README.md"
CHANGELOG = ROOT / "CHANGELOG.md"  # also names what has gone

LINK = re.compile(r"\]\((?!\w+:)([^)#\s]+)")
MODULE = re.compile(r"\bpipeline(?:\.[a-z_]\w*)+")
FILE = re.compile(r"\b(?:pipeline|conf|tests|benchmarks|docs)/[\w./-]*\w\.(?:py|yaml|md|png)\b")
OLD_COMMAND = re.compile(r"-m pipeline\.\w+")


def ids(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def found(page: Path, pattern: re.Pattern[str]) -> Iterator[str]:
    text = page.read_text(encoding="utf-8")
    return (match[match.lastindex or 0] for match in pattern.finditer(text))


def is_module(name: str) -> bool:
    """Whether ``name`` is a package, a module, or something in a module."""
    path = ROOT.joinpath(*name.split("."))
    return path.is_dir() or any(p.with_suffix(".py").is_file() for p in (path, path.parent))


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_links_lead_to_files(page: Path) -> None:
    broken = [link for link in found(page, LINK) if not (page.parent / link).exists()]
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_modules_and_files_exist(page: Path) -> None:
    files = [file for file in found(page, FILE) if "NAME" not in file]
    assert not [file for file in files if not (ROOT / file).exists()]
    assert not [name for name in found(page, MODULE) if page != CHANGELOG and not is_module(name)]


@pytest.mark.parametrize("page", [page for page in PAGES if page != CHANGELOG], ids=ids)
def test_commands_have_their_present_form(page: Path) -> None:
    assert not list(found(page, OLD_COMMAND))


def test_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 150


def test_make_targets_that_pages_name_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = {
        target
        for page in [README, ROOT / "CONTRIBUTING.md"]
        for target in found(page, re.compile(r"(?:^|`)make ([a-z-]+)", re.MULTILINE))
    }
    assert named <= targets
