"""Copies of stage outputs in an object store, for machines that share no folder.

``URI/STAGE/KEY/`` holds the files as they are on a disk, the manifest copied last, so half of a
copy is never taken. An object store has no locks: two machines that lack the same stage both
build it. The second finds that the first has put it there; if both do so at the same moment their
files mix, which the checksums show.

Credentials and endpoint come from the environment, as the store's own tools have it
(``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``, ...).
"""

import logging
import shutil
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
from pyarrow.fs import FileSystem, FileType, LocalFileSystem, copy_files

from pipeline.infra.manifest import MANIFEST, damage, listed, sync
from pipeline.infra.redact import mask
from pipeline.records import InputError

log = logging.getLogger(__name__)

LOCAL = LocalFileSystem()


class ObjectStore:
    """What is at ``uri``, as Arrow's file systems write it: ``s3://bucket/prefix``, ``gs://...``.

    What fails after the first contact is said and does without: a stage that can't be fetched is
    built, one that can't be put there stays on this machine until it is asked for again.

    Raises:
        InputError: it can't be written to.
    """

    def __init__(self, uri: str) -> None:
        self.uri = mask(uri)
        try:
            self.files, self.root = FileSystem.from_uri(uri)
            self.files.create_dir(self.root)
        except pa.ArrowInvalid as error:
            hint = "it takes the form s3://bucket/folder"
            raise InputError(f"cache_uri={self.uri}: {_first_line(error)}; {hint}") from error
        except OSError as error:
            raise InputError(f"cache_uri={self.uri}: {_first_line(error)}") from error

    def get(self, name: str, folder: Path) -> bool:
        """Fill the empty ``folder`` with the copy of ``name``, STAGE/KEY; False if there is none.

        A damaged copy is removed from the store, with a warning.
        """
        at = f"{self.root}/{name}"
        try:
            if not self._has(at):
                return False
            log.info("%s: from %s", name, self.uri)
            self._copy_from(at, folder)
            fault = damage(folder, whole=True)
            if fault is None:
                for path in (*folder.rglob("*"), folder):
                    sync(path)
                return True
            log.warning("%s in %s: %s; built here", name, self.uri, fault)
            self.drop(name)
        except OSError as error:
            log.warning("%s in %s: %s; built here", name, self.uri, _first_line(error))
        shutil.rmtree(folder)
        folder.mkdir()
        return False

    def drop(self, name: str) -> None:
        """Let the copy of ``name``, if there is one, count no longer; ``put`` replaces it."""
        with suppress(OSError):  # where the store is away, put says so
            self.files.delete_file(f"{self.root}/{name}/{MANIFEST}")

    def put(self, folder: Path, name: str) -> None:
        """Copy the sealed ``folder`` to ``name`` unless it is there."""
        at = f"{self.root}/{name}"
        try:
            if self._has(at):
                return
            for file in [*listed(folder), MANIFEST]:
                self.files.create_dir(f"{at}/{file}".rpartition("/")[0])  # a disk needs it
                copy_files(str(folder / file), f"{at}/{file}", LOCAL, self.files)
        except OSError as error:
            log.warning("%s stays here, not in %s: %s", name, self.uri, _first_line(error))

    def _has(self, at: str) -> bool:
        found = self.files.get_file_info(f"{at}/{MANIFEST}").type
        return bool(found == FileType.File)

    def _copy_from(self, at: str, folder: Path) -> None:
        copy_files(f"{at}/{MANIFEST}", str(folder / MANIFEST), self.files, LOCAL)
        with suppress(FileNotFoundError, ValueError):  # damage() says what is wrong
            for file in listed(folder):
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                copy_files(f"{at}/{file}", str(folder / file), self.files, LOCAL)


def _first_line(error: Exception) -> str:
    return mask(str(error).splitlines()[0])
