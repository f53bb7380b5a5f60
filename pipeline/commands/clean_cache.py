"""Remove cached stage outputs that no run needs: ``python -m pipeline clean-cache``."""

import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.commands.arguments import Parser

if TYPE_CHECKING:  # MLflow takes a second to import, and --help must be fast
    from pipeline.tracking.stale_stages import Entry

EPILOG = """\
Lists the stage outputs under output_dir/cache with size and last use. Removes those that no
finished or running run of the tracking store has used, and what killed builds and damaged folders
left behind, checkpoints included. What is removed is built again when a run needs it.

Refuses while a sweep or run is at work, here or on another host: what it has just built belongs
to no finished run yet. Refuses also while another command, as evaluate or score, uses the cache.

examples:
  python -m pipeline clean-cache --dry-run
  python -m pipeline clean-cache output_dir=DIR tracking.uri=http://localhost:5000
"""


def main(words: Sequence[str]) -> None:
    """Show the cache and, without ``--dry-run``, remove what is unused or left over.

    Raises:
        InputError: the tracking store is missing or can't be used, so what is used is unknown.
        Refused: a sweep or run is at work, or another process uses the cache.
    """
    description = "List the cached stage outputs and remove those that no run has used."
    parser = Parser("clean-cache", description, EPILOG)
    parser.add_argument("--dry-run", action="store_true", help="remove nothing, only list")
    parser.add_overrides()
    arguments = parser.parse_intermixed_args(words)

    from rich.filesize import decimal

    from pipeline.config.compose import compose
    from pipeline.infra.in_use import alone
    from pipeline.tracking import reader
    from pipeline.tracking.stale_stages import entries, refuse_while_running, remove

    config = compose(arguments.overrides)
    cache = Path(config.output_dir) / "cache"
    if not arguments.dry_run:
        refuse_while_running(config.tracking)
    with nullcontext() if arguments.dry_run else alone(cache):
        found = entries(cache, reader.used_stages(config.tracking))
        _show(found)
        stale = [entry for entry in found if entry.state != "used"]
        removed = stale if arguments.dry_run else [entry for entry in stale if remove(entry.path)]
    what = "would remove" if arguments.dry_run else "removed"
    freed = decimal(sum(entry.bytes for entry in removed))
    print(f"{what} {len(removed)} of {len(found)} folders, {freed}")


def _show(found: "Sequence[Entry]") -> None:
    from rich.console import Console
    from rich.filesize import decimal
    from rich.table import Table

    table = Table("stage", "key", "size", "last use", "", box=None, pad_edge=False)
    table.columns[2].justify = "right"
    for entry in found:
        stage, key = entry.path.parent.name, entry.path.name
        day = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.last_use))
        table.add_row(stage, key, decimal(entry.bytes), day, entry.state)
    if found:
        Console(highlight=False, width=None if sys.stdout.isatty() else 120).print(table)
