"""Find the cached stage outputs that no run has used, and remove them."""

import shutil
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from filelock import Timeout

from pipeline.config.stages import TrackingConfig
from pipeline.infra.stage_cache import BROKEN, BUILDING, UNFINISHED, only_builder
from pipeline.records import Refused
from pipeline.tracking import reader


class Entry(NamedTuple):
    """One folder of the cache: ``bytes`` on disk, ``last_use`` in seconds since 1970."""

    path: Path
    bytes: int
    last_use: float
    state: str  # used, unused or leftover (of a killed build or a damaged folder)


def entries(cache: Path, used: set[str]) -> list[Entry]:
    """The folders under ``cache``, by stage and name; ``used`` has names ``stage/KEY``."""
    found = []
    for path in sorted(cache.glob("*/*")):
        if not path.is_dir():  # a lock
            continue
        state = "used" if f"{path.parent.name}/{path.name}" in used else "unused"
        if path.name.startswith((BUILDING, UNFINISHED)) or BROKEN in path.name:
            state = "leftover"
        with suppress(FileNotFoundError):  # A build that has just ended renames its folder.
            size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            found.append(Entry(path, size, path.stat().st_mtime, state))
    return found


def remove(path: Path) -> bool:
    """Remove a folder of the cache; False if another process is building it."""
    key = path.name.removeprefix(BUILDING).removeprefix(UNFINISHED).split(BROKEN)[0]
    try:
        with only_builder(path.with_name(key), patient=False):
            # Renamed first, in one step: a half-removed folder would look like a damaged one.
            gone = path.rename(path.with_name(BUILDING + key)) if path.name == key else path
            shutil.rmtree(gone)
    except Timeout:
        return False
    return True


def refuse_while_running(config: TrackingConfig) -> None:
    """Check that no run of the store is at work, on any host.

    A run at work may not have recorded yet which stage outputs it uses. To be called before they
    are read, so that they include those of a run that has just ended.

    Raises:
        InputError: the tracking store is missing or can't be used.
        Refused: a run is at work.
    """
    if alive := reader.any_alive(config):
        process = f"pid {alive.tags['pid']} on {alive.tags['host']}"
        raise Refused(f"{alive.name} is running, {process}: wait for it or stop it")
