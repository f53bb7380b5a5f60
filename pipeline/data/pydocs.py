"""Make queries and passages from the docstrings of installed packages; no download.

The first paragraph of a docstring is the query, the rest its one relevant passage. Files are
parsed, never imported. The same locked packages give the same data on every machine. Not
covered: docstrings of compiled modules, and those assembled at import time.
"""

import ast
import gc
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pipeline.config.bounds import require
from pipeline.config.datasets import PydocsConfig
from pipeline.data.corpus import Corpus, CorpusWriter
from pipeline.data.judgments import NeverNegative, passage_keys
from pipeline.data.splits import Splits, limit_corpus, limited, sample, without_leaks
from pipeline.data.text import text_key
from pipeline.infra.console import live_line
from pipeline.records import InputError, QuerySet

TEST_PARTS = {"test", "tests", "testing", "_testing", "conftest.py"}


class Pair(NamedTuple):
    """A docstring as a search: its place, first paragraph and rest."""

    place: str  # "torch/nn/modules/linear.py:Linear.forward"; a module has no ":"
    query: str
    passage: str


def inputs(config: PydocsConfig) -> dict[str, object]:
    """Return what determines the content: the configuration and the packages' versions.

    Raises:
        InputError: no package is named, or one is not installed.
    """
    require(bool(config.packages), "dataset.packages", "[]", "needs one or more names")
    require(
        len(config.query_words) == 2 and 1 <= config.query_words[0] <= config.query_words[1],
        "dataset.query_words",
        config.query_words,
        "must be [fewest, most]",
    )
    for key in ("max_eval_queries", "max_dev_queries"):
        require(
            getattr(config, key) is not None,
            f"dataset.{key}",
            "null",
            "one pool is divided among test, dev and train, give a number",
        )
    versions = {name: _distribution(name).version for name in sorted(set(config.packages))}
    return {**asdict(config), "packages": versions}


def build(config: PydocsConfig, folder: Path) -> Splits:
    """Write ``folder/corpus`` and return the splits.

    Raises:
        InputError: nothing is left for training, or the corpus limit is too small.
    """
    dropped: Counter[str] = Counter()
    with _garbage_collector_off():
        pairs = {pair.place: pair for pair in read_pairs(config, dropped)}
    with CorpusWriter(folder / "full") as writer:
        for pair in pairs.values():
            writer.add(pair.place, pair.passage)

    def query_set(chosen: list[str]) -> QuerySet:
        return QuerySet(
            {f"q:{place}": pairs[place].query for place in chosen},
            {f"q:{place}": {place: 1} for place in chosen},
        )

    test_count, dev_count = config.max_eval_queries or 0, config.max_dev_queries or 0
    places = sample(pairs, None, config.seed)
    test = query_set(places[:test_count])
    dev = query_set(places[test_count : test_count + dev_count])
    train = query_set(places[test_count + dev_count :])
    given_train = len(train)
    # No text occurs twice in the pool, but two may differ by punctuation or symbols alone.
    passages = Corpus(folder / "full")
    dev = without_leaks(dev, "dev", passages, {"test": test}, dropped)
    train = without_leaks(train, "train", passages, {"test": test, "dev": dev}, dropped)
    kept_train = len(train)
    train = limited(train, config.max_train_queries, config.seed)
    if not train and config.max_train_queries != 0:
        raise InputError(
            f"dataset.max_eval_queries={test_count}: with dataset.max_dev_queries={dev_count} no "
            f"training query is left, dataset.packages give {len(pairs)}; lower it or add packages"
        )

    never = NeverNegative(passage_keys((dev, test), passages), {})
    splits = Splits(train, dev, test, dict(dropped), never, given_train, kept_train)
    limit_corpus(
        folder / "full",
        folder / "corpus",
        config.max_corpus,
        config.seed,
        (splits.test, splits.dev, splits.train),
    )
    return splits


@contextmanager
def _garbage_collector_off() -> Iterator[None]:
    """Pause garbage collection: syntax trees are millions of objects, and it triples the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def read_pairs(config: PydocsConfig, dropped: Counter[str]) -> Iterator[Pair]:
    """Yield all pairs in the order of their files, without repeated queries and passages.

    Of equal texts (``text_key``) the first stays. ``dropped`` counts the others and the files
    that do not parse.
    """
    queries: set[bytes] = set()
    passages: set[bytes] = set()
    for name, path in live_line("reading docstrings", "file", source_files(config.packages)):
        try:
            tree = _parse(path.read_bytes())
        except (OSError, SyntaxError, ValueError):
            dropped["unreadable_file"] += 1
            continue
        for pair in _pairs_of(name, tree, config):
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
        for file in _distribution(package).files or ():
            name = file.as_posix()
            if file.suffix == ".py" and ".." not in file.parts and not _is_test(file):
                found[name] = Path(str(file.locate()))
    return sorted(found.items())


def _is_test(file: PurePosixPath) -> bool:
    return not TEST_PARTS.isdisjoint(file.parts) or file.name.startswith("test_")


def _distribution(name: str) -> metadata.Distribution:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        raise InputError(
            f"dataset.packages: {name} is not installed; install it or leave it out"
        ) from None


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
