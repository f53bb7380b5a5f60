"""Read the docstrings of installed packages: the first paragraph is a query, the rest its passage.

Files are parsed, never imported. Not covered: docstrings of compiled modules, and those assembled
at import time.
"""

import ast
import gc
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from functools import partial
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pipeline.config.datasets import PydocsConfig
from pipeline.data.text import text_key
from pipeline.infra.console import live_line
from pipeline.infra.processes import in_processes
from pipeline.records import InputError

FILES = 64  # that a process reads at a time
TEST_PARTS = {"test", "tests", "testing", "_testing", "conftest.py"}


class Pair(NamedTuple):
    """A docstring as a search: its place, first paragraph and rest."""

    place: str  # "torch/nn/modules/linear.py:Linear.forward"; a module has no ":"
    query: str
    passage: str


def read_pairs(config: PydocsConfig, dropped: Counter[str]) -> Iterator[Pair]:
    """Yield all pairs in the order of their files, without repeated queries and passages.

    Of equal texts (``text_key``) the first stays. ``dropped`` counts the others and the files
    that do not parse.
    """
    queries: set[bytes] = set()
    passages: set[bytes] = set()
    files = source_files(config.packages)
    read = in_processes(partial(pairs_of_file, config), files, FILES)
    for pairs in live_line("reading docstrings", "file", read, total=len(files)):
        if pairs is None:
            dropped["unreadable_file"] += 1
            continue
        for pair in pairs:
            query, passage = text_key(pair.query), text_key(pair.passage)
            if query in queries:
                dropped["repeated_query"] += 1
            elif passage in passages:
                dropped["repeated_passage"] += 1
            else:
                queries.add(query)
                passages.add(passage)
                yield pair


def source_files(packages: list[str]) -> list[tuple[str, Path]]:
    """List the Python files of these distributions without tests: (name, path), by name."""
    found: dict[str, Path] = {}
    for package in packages:
        for file in distribution(package).files or ():
            name = file.as_posix()
            if file.suffix == ".py" and ".." not in file.parts and not _is_test(file):
                found[name] = Path(str(file.locate()))
    return sorted(found.items())


def _is_test(file: PurePosixPath) -> bool:
    return not TEST_PARTS.isdisjoint(file.parts) or file.name.startswith("test_")


def distribution(name: str) -> metadata.Distribution:
    """Find an installed distribution.

    Raises:
        InputError: it is not installed.
    """
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        raise InputError(
            f"dataset.packages: {name} is not installed; install it or leave it out"
        ) from None


def pairs_of_file(config: PydocsConfig, file: tuple[str, Path]) -> list[Pair] | None:
    """Return the pairs of one file, (name, path), in its order; None if it does not parse."""
    name, path = file
    gc.disable()  # Collecting the millions of objects of the trees would triple the time.
    try:
        return list(_pairs_of(name, _parse(path.read_bytes()), config))
    except (OSError, SyntaxError, ValueError):
        return None
    finally:
        gc.enable()


def _parse(source: bytes) -> ast.Module:
    with warnings.catch_warnings():
        # Packages may hold invalid escape sequences, which would be errors under -W error.
        warnings.simplefilter("ignore", SyntaxWarning)
        # Python 3.11 reports them in another category.
        warnings.filterwarnings("ignore", "invalid escape sequence", DeprecationWarning)
        return ast.parse(source)


def _pairs_of(name: str, tree: ast.Module, config: PydocsConfig) -> Iterator[Pair]:
    fewest, most = config.query_words
    times: Counter[str] = Counter()
    for place, node in _definitions(name, tree):
        docstring = ast.get_docstring(node, clean=True)
        if docstring is None:
            continue
        first, *rest = re.split(r"\n\s*\n", docstring.strip(), maxsplit=1)
        query, passage = first.split(), " ".join(rest).split()
        if fewest <= len(query) <= most and len(passage) >= config.min_passage_words:
            # Property setters, overloads and alternatives under an `if` share a place.
            times[place] += 1
            unique = place if times[place] == 1 else f"{place}#{times[place]}"
            yield Pair(unique, _encodable(query), _encodable(passage))


Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def _definitions(place: str, node: Documented) -> Iterator[tuple[str, Documented]]:
    """Yield a module and everything defined in it, at any depth, in source order."""
    yield place, node
    separator = ":" if isinstance(node, ast.Module) else "."
    pending: list[ast.AST] = [*reversed(node.body)]
    while pending:
        child = pending.pop()
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _definitions(f"{place}{separator}{child.name}", child)
        elif isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
            pending.extend(list(ast.iter_child_nodes(child))[::-1])


def _encodable(words: list[str]) -> str:
    # A docstring may spell half a surrogate pair, which no file can hold.
    return " ".join(words).encode(errors="ignore").decode()
