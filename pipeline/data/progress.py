"""One progress bar on the terminal; nothing where nobody watches."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")


def progress(items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """The items, with a bar named ``what`` on stderr while they are taken."""
    console = Console(stderr=True)
    if not console.is_terminal:  # in a file even a hidden bar of rich leaves blank lines
        yield from items
        return
    yield from track(items, what, total=total, console=console, transient=True)
