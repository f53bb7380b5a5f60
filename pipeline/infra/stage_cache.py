"""Stage outputs on disk, in folders named by a hash of what determines their content.

A folder is built under a temporary name, synced to disk, sealed with a manifest (size and sha256
of every file), and only then renamed. A half-written folder is therefore never read, and a later
request for the same content, in this run or the next, finds the folder.

One process builds a key while the others wait. The lock belongs to the operating system, which
frees it when its owner dies, so a lock never has to be refreshed or taken over.

Machines without a common folder share stage outputs through an object store (object_store.py):
a missing folder is fetched from the store, and a folder that the store lacks is copied to it.
"""

import hashlib
import json
import logging
import os
import platform
import shutil
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from pipeline.config import Config
from pipeline.infra import in_use
from pipeline.infra.console import announce, working
from pipeline.infra.manifest import MANIFEST, damage, seal, sync
from pipeline.infra.object_store import ObjectStore

log = logging.getLogger(__name__)

BUILDING = ".building-"  # prefix of the key while a folder is built
UNFINISHED = ".unfinished-"  # prefix of the key of a partial result
BROKEN = ".broken-"  # between the key and a number, for a damaged folder
PATIENCE = 5.0  # seconds of waiting before the owner of a lock is reported

Inputs = Mapping[str, object]


def content_key(inputs: Inputs) -> str:
    """16 hex digits of the sha256 of ``inputs`` as canonical JSON (keys sorted)."""
    text = json.dumps(inputs, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass
class StageCache:
    """The stage outputs under ``folder``.

    ``remote`` is the object store that keeps a copy of every output, if there is one.
    Outputs of the ``forced`` stages are built again if they are older than ``since`` (seconds
    since 1970). ``used`` collects ``stage/KEY`` of every output that was requested.
    """

    folder: Path
    remote: ObjectStore | None = None
    forced: tuple[str, ...] = ()
    since: float = 0.0
    used: set[str] = field(default_factory=set)
    _verified: set[Path] = field(default_factory=set)  # folders whose checksums were compared
    _waiting_to_hold: bool = False  # until there is a folder that clean-cache could look into

    @classmethod
    def of(cls, config: Config, forced: tuple[str, ...] = (), since: float = 0.0) -> Self:
        """The cache that ``config`` names: ``output_dir`` and ``cache_uri``.

        While the object exists, ``clean-cache`` removes nothing.

        Raises:
            InputError: the object store at ``cache_uri`` can't be written to.
        """
        remote = None if config.cache_uri is None else ObjectStore(config.cache_uri)
        cache = cls(Path(config.output_dir) / "cache", remote, forced, since)
        cache._waiting_to_hold = True
        cache._hold()
        return cache

    def get(
        self, stage: str, inputs: Inputs, build: Callable[[Path], None], quick: bool = False
    ) -> Path:
        """Return the folder ``STAGE/KEY``; if it is missing, ``build(folder)`` fills it.

        ``inputs`` must hold everything that the content depends on; it is stored as
        ``inputs.json``. A damaged folder is renamed to ``KEY.broken-N``, with a warning, and built
        again; one that is too old (``forced``) is replaced. If ``build`` raises, only the folder
        ``unfinished`` is left, for the next attempt; it is removed after a success, and before a
        build if it is too old. The modification time of the folder is that of its last use. A
        ``quick`` build takes seconds and is not announced.
        """
        final = self._final(stage, inputs)
        name = f"{stage}/{final.name}"
        if not final.is_dir() or self._damage(final) or self._too_old(final):
            final.parent.mkdir(parents=True, exist_ok=True)
            self._hold()
            with only_builder(final):
                self._drop_old_partial(final, self.unfinished(stage, inputs))
                self._build_or_fetch(final, name, inputs, build, quick)
                shutil.rmtree(self.unfinished(stage, inputs), ignore_errors=True)
        if self.remote is not None:
            self.remote.put(final, name)
        with suppress(OSError):  # The cache may belong to another user.
            os.utime(final)
        self.used.add(name)
        return final

    def find(self, stage: str, inputs: Inputs) -> Path | None:
        """Return the folder ``STAGE/KEY`` if it is here and not too old, without a check."""
        final = self._final(stage, inputs)
        return final if final.is_dir() and not self._too_old(final) else None

    def unfinished(self, stage: str, inputs: Inputs) -> Path:
        """Folder with the partial result of an interrupted build; may not exist."""
        final = self._final(stage, inputs)
        return final.with_name(UNFINISHED + final.name)

    def _hold(self) -> None:
        """Keep clean-cache away while this object exists; make no folder for that alone."""
        if self._waiting_to_hold and self.folder.is_dir():
            self._waiting_to_hold = False
            if (descriptor := in_use.hold(self.folder)) is not None:
                weakref.finalize(self, os.close, descriptor)

    def _final(self, stage: str, inputs: Inputs) -> Path:
        return self.folder / stage / content_key(inputs)

    def _build_or_fetch(
        self,
        final: Path,
        name: str,
        inputs: Inputs,
        build: Callable[[Path], None],
        quick: bool,
    ) -> None:
        """Fill ``final`` under its lock, unless another process has done so in the meantime."""
        if final.is_dir() and (fault := self._damage(final)):
            aside = self._set_aside(final)
            log.warning("%s: %s; kept as %s and built again", final, fault, aside.name)
        if final.is_dir() and not self._too_old(final):
            return
        # Remote copies carry no build time, so a forced stage never uses them.
        forced = final.parent.name in self.forced
        with self._temporary(final) as folder:
            if forced or self.remote is None or not self.remote.get(name, folder):
                if not quick:
                    announce(f"{final.parent.name}: computing")
                with working(final.parent.name):
                    build(folder)
                (folder / "inputs.json").write_text(json.dumps(inputs, indent=2, sort_keys=True))
                seal(folder)
            if forced and self.remote is not None:
                self.remote.drop(name)

    def _damage(self, folder: Path) -> str | None:
        """Describe the damage, None if there is none; checksums are compared only once."""
        if folder in self._verified:
            return damage(folder, checked_bytes=0)
        fault = damage(folder)
        if fault is None:
            self._verified.add(folder)
        return fault

    def _too_old(self, folder: Path) -> bool:
        forced = folder.parent.name in self.forced
        return forced and (folder / MANIFEST).stat().st_mtime < self.since

    def _drop_old_partial(self, final: Path, partial: Path) -> None:
        """Remove what an attempt before ``since`` has left of a forced stage."""
        if final.parent.name in self.forced:
            files = [path for path in partial.rglob("*") if path.is_file()]
            if all(path.stat().st_mtime < self.since for path in files):
                shutil.rmtree(partial, ignore_errors=True)

    @contextmanager
    def _temporary(self, final: Path) -> Iterator[Path]:
        """Yield an empty folder to fill, and rename it to ``final`` unless the block raises."""
        folder = final.with_name(BUILDING + final.name)
        replaced = final.with_name(f"{BUILDING}{final.name}-replaced")
        for leftover in (folder, replaced):  # of a killed process
            shutil.rmtree(leftover, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
            if final.is_dir():  # Out of the way in one step, as another process may be reading.
                self._verified.discard(final)
                final.rename(replaced)
            folder.rename(final)
            sync(final.parent)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            shutil.rmtree(replaced, ignore_errors=True)

    def _set_aside(self, folder: Path) -> Path:
        """Rename a damaged folder to the first free ``KEY.broken-N``."""
        self._verified.discard(folder)
        names = (folder.with_name(f"{folder.name}{BROKEN}{number}") for number in count(1))
        return folder.rename(next(name for name in names if not name.exists()))


@contextmanager
def only_builder(folder: Path, patient: bool = True) -> Iterator[None]:
    """Hold the build lock of ``folder`` within the block.

    The lock file holds pid and host of its owner, for the log line of those that wait.

    Raises:
        filelock.Timeout: another process holds the lock and ``patient`` is False.
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
        if not folder.exists():  # Nothing was built, so nothing is left behind.
            file.unlink(missing_ok=True)
        lock.release()
