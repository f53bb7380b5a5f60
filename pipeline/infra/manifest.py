"""What makes a folder count as whole: a manifest with the size and sha256 of each of its files.

What is read is verified: the size of every file each time, and checksums once per process, the
smallest files first, until ``CHECKED_BYTES`` of the folder have been read. So everything is checked
in a small folder; of a table of gigabytes its metadata, and the rest by size. Reading all of it at
every start would cost more than it finds, as disks and file systems have checksums of their own.
"""

import hashlib
import json
import os
from math import inf
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
CHECKED_BYTES = 2**28  # of a folder: 256 MiB take a quarter of a second

_checked: set[Path] = set()  # the folders whose checksums this process has compared


def seal(folder: Path) -> None:
    """Write ``folder`` through to the disk, and last the manifest by which it counts as whole."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            files[name] = {"size": path.stat().st_size, "sha256": _sha256(path)}
        sync(path)
    (folder / MANIFEST).write_text(json.dumps({"files": files}, indent=1))
    sync(folder / MANIFEST)
    sync(folder)


def listed(folder: Path) -> dict[str, Any]:
    """The files of a sealed folder: name -> ``size`` in bytes and ``sha256`` in hex.

    Raises:
        OSError: there is no manifest, or it is out of reach.
        ValueError: it is not one.
    """
    manifest = json.loads((folder / MANIFEST).read_text())
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise ValueError(f"{folder / MANIFEST} lists no files")
    files: dict[str, Any] = manifest["files"]
    return files


def damage(folder: Path, whole: bool = False) -> str | None:
    """What is wrong with a folder, in words; None if nothing is.

    ``whole``: all checksums are compared, whatever its size and whatever was compared before.
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
    if folder in _checked and not whole:
        return None
    left = inf if whole else CHECKED_BYTES
    for name, facts in sorted(files.items(), key=lambda item: (item[1]["size"], item[0])):
        left -= facts["size"]
        if left < 0:
            break
        if _sha256(folder / name) != facts["sha256"]:
            return f"{name} has another checksum than when it was written"
    _checked.add(folder)
    return None


def forget(folder: Path) -> None:
    """Compare the checksums of ``folder`` again when it is read next."""
    _checked.discard(folder)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
