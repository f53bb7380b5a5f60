"""What the cache holds, and away with what no run needs: ``python -m pipeline clean-cache``.

Lists the stage outputs under ``output_dir/cache`` with size and last use. Removes those that no
finished or running run of the tracking store has used, and what killed builds and damaged folders
left, checkpoints included. A removed one is built again when it is asked for. Not while a sweep is
running, here or on another host, as one that has just been built belongs to no run yet.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from filelock import Timeout
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from pipeline.infra.errors import exit_code
from pipeline.infra.stage_cache import BROKEN, BUILDING, UNFINISHED, only_builder
from pipeline.records import Refused


class Entry(NamedTuple):
    """One folder of the cache: ``bytes`` on disk, ``last_use`` in seconds since 1970."""

    path: Path
    bytes: int
    last_use: float
    why: str  # used, unused or leftover


def entries(cache: Path, used: set[str]) -> list[Entry]:
    """The folders under ``cache``, by stage and name; ``used`` has names ``stage/KEY``."""
    found = []
    for path in sorted(cache.glob("*/*")):
        if not path.is_dir():  # a lock
            continue
        why = "used" if f"{path.parent.name}/{path.name}" in used else "unused"
        if path.name.startswith((BUILDING, UNFINISHED)) or BROKEN in path.name:
            why = "leftover"
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        found.append(Entry(path, size, path.stat().st_mtime, why))
    return found


def remove(path: Path) -> bool:
    """Remove a folder of the cache; False if another process is building it."""
    key = path.name.removeprefix(BUILDING).removeprefix(UNFINISHED).split(BROKEN)[0]
    try:
        with only_builder(path.with_name(key), patient=False):
            # In one step out of sight: half a folder would be taken for a damaged one.
            gone = path.rename(path.with_name(BUILDING + key)) if path.name == key else path
            shutil.rmtree(gone)
    except Timeout:
        return False
    return True


def clean(overrides: Sequence[str], dry_run: bool) -> None:
    """Show the cache and, unless ``dry_run``, remove what is unused or left over.

    Raises:
        InputError: the tracking store can't be used or is not there, so nothing is known.
        Refused: a sweep or run is at work, on whatever host.
    """
    from pipeline.config.compose import compose

    config = compose(overrides)
    from pipeline.tracking import reader

    if not dry_run and (alive := reader.running(config.tracking)):
        process = f"pid {alive.tags['pid']} on {alive.tags['host']}"
        raise Refused(f"{alive.name} is running, {process}: wait for it or stop it")
    used = reader.used_stages(config.tracking)  # after that, so that it has what has just ended
    found = entries(Path(config.output_dir) / "cache", used)
    _show(found)
    superfluous = [entry for entry in found if entry.why != "used"]
    removed = superfluous if dry_run else [entry for entry in superfluous if remove(entry.path)]
    what = "would remove" if dry_run else "removed"
    freed = decimal(sum(entry.bytes for entry in removed))
    print(f"{what} {len(removed)} of {len(found)} folders, {freed}")


def _show(found: Sequence[Entry]) -> None:
    table = Table("stage", "key", "size", "last use", "", box=None, pad_edge=False)
    table.columns[2].justify = "right"
    for entry in found:
        day = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.last_use))
        table.add_row(entry.path.parent.name, entry.path.name, decimal(entry.bytes), day, entry.why)
    if found:
        Console(highlight=False, width=None if sys.stdout.isatty() else 120).print(table)


def main() -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline clean-cache",
        description="List the cached stage outputs and remove those that no run has used.",
    )
    parser.add_argument("--dry-run", action="store_true", help="only show what would go")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="e.g. output_dir=DIR")
    arguments = parser.parse_args()
    return exit_code(lambda: clean(arguments.overrides, arguments.dry_run))


if __name__ == "__main__":
    sys.exit(main())
