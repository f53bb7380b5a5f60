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
    return {
        "git.commit": _git("rev-parse", "HEAD") or "unknown",
        "git.dirty": str(bool(_git("status", "--porcelain"))),
        "lock.sha256": hashlib.sha256(lock.read_bytes()).hexdigest()
        if lock.exists()
        else "unknown",
        "version.python": platform.python_version(),
        **versions,
    }


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):  # no git, or an installed package
        return ""
    return done.stdout.strip()
