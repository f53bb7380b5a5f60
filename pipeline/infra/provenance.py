"""What code and which dependencies a run was made with."""

import hashlib
import importlib.metadata
import platform
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
NAMED = ("torch", "transformers", "sentence-transformers", "pylate", "lancedb", "ir-measures")
SHOWING = ("report",)  # makes no results


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


@cache
def code_version(*modules: str) -> str:
    """16 hex digits over these modules' sources and the versions of the libraries that compute.

    ``modules`` are the dotted names of this package's files and folders; without them all
    are taken but ``report/``, which shows results and makes none.
    """
    package = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package)
        dotted = ".".join(name.with_suffix("").parts)
        if _in(dotted, modules) if modules else not _in(dotted, SHOWING):
            digest.update(name.as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    for library in NAMED:
        digest.update(f"{library}=={importlib.metadata.version(library)}\0".encode())
    return digest.hexdigest()[:16]


def _in(dotted: str, modules: tuple[str, ...]) -> bool:
    return any(dotted == module or dotted.startswith(f"{module}.") for module in modules)


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):  # no git, or an installed package
        return ""
    return done.stdout.strip()
