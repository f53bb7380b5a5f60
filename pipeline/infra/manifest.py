"""Manifests: a folder counts as complete if its manifest lists the size and sha256 of every file.

A folder is verified when it is read: first the size of every file, then checksums, the smallest
files first, until ``CHECKED_BYTES`` have been read. A small folder is therefore checked in full,
and of a table of gigabytes the metadata in full and the rest by size. Reading everything at every
start would cost more than it finds, as disks and file systems have checksums of their own.
"""

import hashlib
import json
import os
from pathlib import Path, PurePosixPath
from typing import Any

MANIFEST = "manifest.json"
CHECKED_BYTES = 2**28  # 256 MiB take a quarter of a second


def seal(folder: Path) -> None:
    """Sync ``folder`` to disk and write its manifest last."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            files[name] = {"size": path.stat().st_size, "sha256": sha256(path)}
        sync(path)
    (folder / MANIFEST).write_text(json.dumps({"files": files}, indent=1))
    sync(folder / MANIFEST)
    sync(folder)


def listed(folder: Path) -> dict[str, Any]:
    """The files of a sealed folder: name -> ``size`` in bytes and ``sha256`` in hex.

    Raises:
        OSError: the manifest is missing or can't be read.
        ValueError: the file is no manifest, lists no file, or names one outside the folder.
    """
    manifest = json.loads((folder / MANIFEST).read_text())
    files: Any = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(files, dict) or not files:
        raise ValueError(f"{folder / MANIFEST} lists no files")
    found: dict[str, Any] = files
    for name, facts in found.items():
        if not isinstance(facts, dict) or not _known(facts.get("size"), facts.get("sha256")):
            raise ValueError(f"{folder / MANIFEST} has no size and sha256 of {name}")
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise ValueError(f"{folder / MANIFEST} names {name}, which is outside its folder")
    return found


def _known(size: object, sha256: object) -> bool:
    return type(size) is int and size >= 0 and isinstance(sha256, str)


def damage(folder: Path, checked_bytes: float = CHECKED_BYTES) -> str | None:
    """Describe what is wrong with a sealed folder; None if it is whole.

    Checksums are compared for the first ``checked_bytes`` of the folder, smallest files first:
    0 compares sizes only, ``math.inf`` everything.
    """
    try:
        files = listed(folder)
    except FileNotFoundError:
        return "it has no manifest"
    except (OSError, ValueError):
        return "its manifest can't be read"
    for name, facts in files.items():
        path = folder / name
        size = path.stat().st_size if path.is_file() else None
        if size != facts["size"]:
            has = "is missing" if size is None else f"has {size} bytes, not {facts['size']}"
            return f"{name} {has}"
    left = checked_bytes
    for name, facts in sorted(files.items(), key=lambda item: (item[1]["size"], item[0])):
        left -= facts["size"]
        if left < 0:
            break
        if sha256(folder / name) != facts["sha256"]:
            return f"{name} has another checksum than when it was written"
    return None


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """Return the sha256 of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
