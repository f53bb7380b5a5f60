"""Copies of stage outputs in an object store, for machines that share no folder.

``URI/STAGE/KEY/`` holds the files as they are on disk. The manifest is copied last, so half a copy
is never used. An object store has no locks: two machines that lack the same stage both build it,
and the slower one finds the copy of the faster one. If both copy at the same moment their files
mix, which the checksums reveal.

Credentials and endpoint come from the environment variables of the store's own tools
(``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``, ...).
"""

import logging
import shutil
from contextlib import suppress
from math import inf
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
from pyarrow.fs import FileSystem, FileType, LocalFileSystem, copy_files

from pipeline.infra.manifest import MANIFEST, damage, listed, sync
from pipeline.infra.redact import mask
from pipeline.records import InputError

log = logging.getLogger(__name__)

LOCAL = LocalFileSystem()


class ObjectStore:
    """Stage outputs at an address of Arrow, as ``s3://bucket/folder``, or in a folder.

    After the first contact a failure costs only a warning: a stage that can't be fetched is built
    here, and one that can't be copied is copied when it is used next.
    """

    def __init__(self, uri: str) -> None:
        """Connect to ``uri``.

        Raises:
            InputError: the store can't be written to.
        """
        self.uri = mask(uri)
        if not uri.strip():
            raise InputError("cache_uri= is empty; write s3://bucket/folder, or null for no store")
        try:
            self.files, self.root = FileSystem.from_uri(
                uri if "://" in uri else str(Path(uri).resolve())
            )
            self.files.create_dir(self.root)
            self._try_to_write()
        except pa.ArrowInvalid as error:
            hint = "write it as s3://bucket/folder"
            raise InputError(f"cache_uri={self.uri}: {_first_line(error)}; {hint}") from error
        except OSError as error:
            raise InputError(f"cache_uri={self.uri}: {_first_line(error)}") from error

    def get(self, name: str, folder: Path) -> bool:
        """Fill the empty ``folder`` with the copy of ``name`` (STAGE/KEY); False if there is none.

        A damaged copy is removed from the store, with a warning.
        """
        at = f"{self.root}/{name}"
        try:
            if not self._has(at):
                return False
            log.info("%s: from %s", name, self.uri)
            self._copy_from(at, folder)
            fault = damage(folder, checked_bytes=inf)
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
        """Invalidate the copy of ``name``, if there is one; ``put`` then replaces it."""
        with suppress(OSError):  # If the store is away, put reports it.
            self.files.delete_file(f"{self.root}/{name}/{MANIFEST}")

    def put(self, folder: Path, name: str) -> None:
        """Copy the sealed ``folder`` to ``name`` unless the store has it."""
        at = f"{self.root}/{name}"
        try:
            if self._has(at):
                return
            for file in [*listed(folder), MANIFEST]:
                self.files.create_dir(f"{at}/{file}".rpartition("/")[0])  # for local folders
                copy_files(str(folder / file), f"{at}/{file}", LOCAL, self.files)
        except OSError as error:
            log.warning("%s not copied to %s: %s", name, self.uri, _first_line(error))

    def _try_to_write(self) -> None:
        """Write a small object and delete it; of what exists, no other sign tells that."""
        probe = f"{self.root}/.probe-{uuid4().hex}"
        with self.files.open_output_stream(probe) as stream:
            stream.write(b"can this be written?")
        with suppress(OSError):  # Some stores keep all that is written.
            self.files.delete_file(probe)

    def _has(self, at: str) -> bool:
        found = self.files.get_file_info(f"{at}/{MANIFEST}").type
        return bool(found == FileType.File)

    def _copy_from(self, at: str, folder: Path) -> None:
        copy_files(f"{at}/{MANIFEST}", str(folder / MANIFEST), self.files, LOCAL)
        with suppress(FileNotFoundError, ValueError):  # damage() reports what is wrong.
            for file in listed(folder):
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                copy_files(f"{at}/{file}", str(folder / file), self.files, LOCAL)


def _first_line(error: Exception) -> str:
    return mask(str(error).splitlines()[0])
