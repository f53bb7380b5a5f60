"""Describe the code and the libraries that a run was made with."""

import hashlib
import importlib.metadata
import platform
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
NAMED = ("torch", "transformers", "sentence-transformers", "pylate", "lancedb", "ir-measures")


def provenance() -> dict[str, str]:
    """Git commit and dirty flag, sha256 of the lock file, versions; "unknown" where absent."""
    lock = ROOT / "requirements.lock"
    versions = {f"version.{name}": importlib.metadata.version(name) for name in NAMED}
    commit, changes = _checkout(ROOT)
    return {
        "git.commit": commit or "unknown",
        "git.dirty": "unknown" if changes is None else str(bool(changes)),
        "lock.sha256": hashlib.sha256(lock.read_bytes()).hexdigest()
        if lock.exists()
        else "unknown",
        "version.python": platform.python_version(),
        **versions,
    }


def _checkout(root: Path) -> tuple[str | None, str | None]:
    """Return the commit and the changes of a checkout at ``root``; None for what is not known.

    An installed package may lie in the repository of another project, whose commit says nothing.
    """
    top = _git(root, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != root.resolve():
        return None, None
    return _git(root, "rev-parse", "HEAD"), _git(root, "status", "--porcelain")


def _git(root: Path, *arguments: str) -> str | None:
    """Return what git prints about ``root``; None if it fails or is not installed."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
