"""Stage outputs on disk, in folders named by a hash of what determines them.

A folder is built under a temporary name, written through to the disk, given a manifest with the
size and sha256 of every file, and only then renamed, so a half-written one is never read. Whoever
asks for the same content later, in this run or the next, finds it there.

One process builds a key, the others wait for it. The lock is one of the operating system, which
frees it when its owner dies however that happens, so nothing has to be refreshed or taken over.

Machines that share no folder share stage outputs through an object store, if there is one
(pipeline/object_store.py): what is not in the folder is looked for there, and what is missing
there is put there.
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

from pipeline.infra.manifest import MANIFEST, damage, forget, seal, sync
from pipeline.infra.object_store import ObjectStore

log = logging.getLogger(__name__)

BUILDING = ".building-"  # before the key, while a folder is built
UNFINISHED = ".unfinished-"  # before the key, of what an interrupted build goes on with
BROKEN = ".broken-"  # between the key and a number, when a folder was damaged
PATIENCE = 5.0  # seconds of waiting before it is said who is waited for

_used: ContextVar[set[str] | None] = ContextVar("used", default=None)
_stage: ContextVar[str] = ContextVar("stage", default="start")
_anew: ContextVar[tuple[float, tuple[str, ...]]] = ContextVar("anew", default=(0.0, ()))
_store: ContextVar[ObjectStore | None] = ContextVar("store", default=None)


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
    again; one that ``rebuild_stages`` calls too old is replaced. If ``build`` raises, nothing is
    left behind but what it keeps in the folder ``unfinished`` for the next attempt, which goes
    when it has succeeded. The folder's time is that of its last use.
    """
    final = cache / stage / content_key(inputs)
    name = f"{stage}/{final.name}"
    store = _store.get()
    if not final.is_dir() or damage(final) or _too_old(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        with only_builder(final):
            if final.is_dir() and (fault := damage(final)):
                aside = _set_aside(final)
                log.warning("%s: %s; kept as %s and built again", final, fault, aside.name)
            old = final.is_dir() and _too_old(final)
            if old or not final.is_dir():
                with _temporary(final) as folder:
                    # How old a copy in the store is, nobody knows.
                    anew = stage in _anew.get()[1]
                    if anew or store is None or not store.get(name, folder):
                        _build(folder, inputs, build)
                    if anew and store is not None:
                        store.drop(name)
                shutil.rmtree(unfinished(cache, stage, inputs), ignore_errors=True)
    if store is not None:
        store.put(final, name)
    with suppress(OSError):  # a cache that somebody else owns
        os.utime(final)
    used = _used.get()
    if used is not None:
        used.add(name)
    return final


def unfinished(cache: Path, stage: str, inputs: Mapping[str, object]) -> Path:
    """The folder, if it is there, of what interrupted builds of a stage output have reached."""
    return cache / stage / f"{UNFINISHED}{content_key(inputs)}"


def share_stages(uri: str | None) -> None:
    """From now on stage outputs go to and come from the object store at ``uri``, if one is named.

    In this thread.

    Raises:
        InputError: the store can't be written to.
    """
    _store.set(ObjectStore(uri) if uri is not None else None)


def rebuild_stages(before: float, stages: tuple[str, ...]) -> None:
    """From now on, in this thread, outputs of these stages are built again if they are older.

    ``before`` is in seconds since 1970; 0 accepts all. None of them is taken from an object store.
    """
    _anew.set((before, stages if before else ()))


def watch_stages() -> set[str]:
    """A set that from now on receives ``stage/KEY`` of every stage that is asked for.

    Until the next call, in this thread.
    """
    used: set[str] = set()
    _used.set(used)
    return used


def enter_stage(name: str) -> None:
    """From now on, in this thread, what fails has failed in the stage ``name``."""
    _stage.set(name)


def current_stage() -> str:
    """The last one entered, or "start"."""
    return _stage.get()


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


@contextmanager
def _temporary(final: Path) -> Iterator[Path]:
    """An empty folder to fill; renamed to ``final`` unless that raises, gone if it does."""
    folder, replaced = (final.with_name(BUILDING + final.name + end) for end in ("", "-replaced"))
    for leftover in (folder, replaced):  # of a process that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
        if final.is_dir():  # in one step out of sight; somebody may be reading
            forget(final)
            final.rename(replaced)
        folder.rename(final)
        sync(final.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(replaced, ignore_errors=True)


def _too_old(folder: Path) -> bool:
    before, stages = _anew.get()
    if folder.parent.name not in stages:
        return False
    return (folder / MANIFEST).stat().st_mtime < before


def _build(folder: Path, inputs: Mapping[str, object], build: Callable[[Path], None]) -> None:
    build(folder)
    (folder / "inputs.json").write_text(json.dumps(inputs, indent=2, sort_keys=True))
    seal(folder)


def _set_aside(folder: Path) -> Path:
    """Rename a damaged folder to the first free ``KEY.broken-N``."""
    forget(folder)
    names = (folder.with_name(f"{folder.name}{BROKEN}{number}") for number in count(1))
    aside = next(name for name in names if not name.exists())
    return folder.rename(aside)
