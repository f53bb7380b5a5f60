"""Stage outputs on disk, in folders named by a hash of what determines them.

A folder is built under a temporary name, written through to the disk, given a manifest with the
size and sha256 of every file, and only then renamed, so a half-written one is never read. Whoever
asks for the same content later, in this run or the next, finds it there.

One process builds a key, the others wait for it. The lock is one of the operating system, which
frees it when its owner dies however that happens, so nothing has to be refreshed or taken over.

What is read is verified: the size of every file each time, and checksums once per process, the
smallest files first, until ``CHECKED_BYTES`` of the folder have been read. So everything is checked
in a small folder; of a table of gigabytes its metadata, and the rest by size. Reading all of it at
every start would cost more than it finds, as disks and file systems have checksums of their own.
"""

import hashlib
import json
import logging
import os
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from itertools import count
from pathlib import Path

from filelock import FileLock, Timeout

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
BUILDING = ".building-"  # before the key, while a folder is built
UNFINISHED = ".unfinished-"  # before the key, of what an interrupted build goes on with
BROKEN = ".broken-"  # between the key and a number, when a folder was damaged
CHECKED_BYTES = 2**28  # of a folder: 256 MiB take a quarter of a second
PATIENCE = 5.0  # seconds of waiting before it is said who is waited for

_checked: set[Path] = set()  # the folders whose checksums this process has compared
_used: ContextVar[set[str] | None] = ContextVar("used", default=None)


def content_key(inputs: Mapping[str, object]) -> str:
    """16 hex digits of the sha256 of ``inputs`` as canonical JSON (keys sorted)."""
    text = json.dumps(inputs, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def stage_output(
    cache: Path, stage: str, inputs: Mapping[str, object], build: Callable[[Path], None]
) -> Path:
    """The folder ``cache/stage/KEY``, filled by ``build(folder)`` unless it is there, undamaged.

    ``inputs`` must hold everything that the content depends on; it is kept in the folder as
    ``inputs.json``. A damaged folder is renamed to ``KEY.broken-N``, with a warning, and built
    again. If ``build`` raises, nothing is left behind. The folder's time is that of its last use.
    """
    final = cache / stage / content_key(inputs)
    if not final.is_dir() or damage(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        with only_builder(final):
            if final.is_dir() and (fault := damage(final)):
                aside = _set_aside(final)
                log.warning("%s: %s; kept as %s and built again", final, fault, aside.name)
            if not final.is_dir():
                _build(final, inputs, build)
    with suppress(OSError):  # a cache that somebody else owns
        os.utime(final)
    used = _used.get()
    if used is not None:
        used.add(f"{stage}/{final.name}")
    return final


def watch_stages() -> set[str]:
    """A set that from now on receives ``stage/KEY`` of every stage that is asked for.

    Until the next call, in this thread.
    """
    used: set[str] = set()
    _used.set(used)
    return used


def damage(folder: Path) -> str | None:
    """What is wrong with a stage folder, in words; None if nothing is."""
    try:
        files = json.loads((folder / MANIFEST).read_text())["files"]
    except FileNotFoundError:
        return "it has no manifest"
    except (OSError, ValueError, KeyError, TypeError):
        return "its manifest can't be read"
    for name, facts in files.items():
        path = folder / name
        size = path.stat().st_size if path.is_file() else None
        if size != facts["size"]:
            has = "is missing" if size is None else f"has {size} bytes, not {facts['size']}"
            return f"{name} {has}"
    if folder in _checked:
        return None
    left = CHECKED_BYTES
    for name, facts in sorted(files.items(), key=lambda item: (item[1]["size"], item[0])):
        left -= facts["size"]
        if left < 0:
            break
        if _sha256(folder / name) != facts["sha256"]:
            return f"{name} has another checksum than when it was written"
    _checked.add(folder)
    return None


@contextmanager
def only_builder(folder: Path, patient: bool = True) -> Iterator[None]:
    """Inside, no other process builds ``folder``; waits for one that does.

    The lock's file holds pid and host of its owner, for those who wait.

    Raises:
        filelock.Timeout: another process has it and ``patient`` is False.
    """
    file = folder.with_name(f".{folder.name}.lock")
    lock = FileLock(file)
    try:
        lock.acquire(timeout=PATIENCE if patient else 0)
    except Timeout:
        if not patient:
            raise
        owner = file.read_text() or "another process"
        log.info("waiting for %s, which builds %s", owner, folder)
        lock.acquire()
    try:
        file.write_text(f"pid {os.getpid()} on {platform.node()}")
        yield
    finally:
        if not folder.exists():  # nothing was built, so nothing is left
            file.unlink(missing_ok=True)
        lock.release()


def _build(final: Path, inputs: Mapping[str, object], build: Callable[[Path], None]) -> None:
    temporary = final.with_name(BUILDING + final.name)
    shutil.rmtree(temporary, ignore_errors=True)  # of a process that was killed
    temporary.mkdir()
    try:
        build(temporary)
        (temporary / "inputs.json").write_text(json.dumps(inputs, indent=2, sort_keys=True))
        seal(temporary)
        temporary.rename(final)
        _sync(final.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    _checked.add(final)


def seal(folder: Path) -> None:
    """Write ``folder`` through to the disk, and last the manifest by which it counts as whole."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            files[name] = {"size": path.stat().st_size, "sha256": _sha256(path)}
        _sync(path)
    (folder / MANIFEST).write_text(json.dumps({"files": files}, indent=1))
    _sync(folder / MANIFEST)
    _sync(folder)


def _set_aside(folder: Path) -> Path:
    """Rename a damaged folder to the first free ``KEY.broken-N``."""
    _checked.discard(folder)
    names = (folder.with_name(f"{folder.name}{BROKEN}{number}") for number in count(1))
    aside = next(name for name in names if not name.exists())
    return folder.rename(aside)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
