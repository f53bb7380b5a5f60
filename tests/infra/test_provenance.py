"""The commit of a run is that of this project, or unknown."""

import subprocess
from pathlib import Path

import pytest

from pipeline.infra import provenance

GIT = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org")


def recorded() -> tuple[str, str]:
    found = provenance.provenance()
    return found["git.commit"], found["git.dirty"]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit, which ``provenance`` takes for the project's."""
    (tmp_path / "file").touch()
    for words in (["init", "-q"], ["add", "file"], ["commit", "-qm", "first"]):
        subprocess.run([*GIT, *words], cwd=tmp_path, check=True)
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    return tmp_path


def test_a_checkout_has_a_commit_and_may_be_dirty(checkout: Path) -> None:
    done = subprocess.run([*GIT, "rev-parse", "HEAD"], cwd=checkout, capture_output=True, text=True)
    assert recorded() == (done.stdout.strip(), "False")
    (checkout / "new").touch()
    assert recorded() == (done.stdout.strip(), "True")


def test_an_installation_inside_another_repository_has_none(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = checkout / "site-packages"
    packages.mkdir()
    monkeypatch.setattr(provenance, "ROOT", packages)
    assert recorded() == ("unknown", "unknown")


def test_without_git_nothing_is_known(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(checkout))
    assert recorded() == ("unknown", "unknown")
