"""Look for faults in labelled rows: ``python -m pipeline audit DATA``."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.commands.arguments import Parser
from pipeline.records import InputError, Refused

if TYPE_CHECKING:
    from pipeline.config.datasets import ColumnsConfig

EPILOG = """\
DATA is JSON Lines, CSV, TSV or Parquet of query, text and label (optional: query_id, doc_id,
split, group), or of sentence-transformers' pairs, triplets or n-tuples.

examples:
  python -m pipeline audit pairs.csv --column text=body --strict
  python -m pipeline audit pairs.jsonl.gz --corpus corpus.jsonl --max-length 512 --output report

exit code: 0 clean or warnings, 1 warnings with --strict, 2 unusable or no such file
"""


def main(words: Sequence[str]) -> None:
    """Audit a file, print the findings and save them as a page and as JSON.

    Raises:
        InputError, HydraException, OmegaConfBaseException: an argument is wrong, or the file is
            missing or unusable.
        Refused: there are warnings, and ``--strict`` allows none.
    """
    options = _parser().parse_args(words)
    columns = _columns(options.column)
    base = _base_path(options.base)
    if options.output.exists() and not options.output.is_dir():
        raise InputError(f"--output {options.output}: is a file; name a folder")

    from rich.console import Console

    from pipeline.audit import audit
    from pipeline.audit.page import save
    from pipeline.audit.summary import show
    from pipeline.infra import quiet

    quiet.silence()
    report = audit(
        options.data,
        columns,
        corpus=options.corpus,
        base=base,
        max_length=_default_length() if options.max_length is None else options.max_length,
        query_length=options.query_length,
        near_duplicate=options.near_duplicate,
    )
    save(report, options.output)
    console = Console(highlight=False)
    show(report, console)
    console.print()
    for name in ("audit.html", "audit.json"):
        console.print(str(options.output / name), markup=False, soft_wrap=True)
    if report.unusable:
        raise InputError(f"{options.data}: unusable, see the findings")
    if options.strict and report.has_warnings:
        raise Refused(f"{options.data}: has warnings, and --strict allows none")


def _parser() -> Parser:
    description = (
        "Look for what makes training on labelled rows fail or mislead; saves audit.json and "
        "audit.html."
    )
    parser = Parser("audit", description, EPILOG)
    parser.add_argument("data", type=Path, metavar="DATA", help="the labelled rows")
    parser.add_argument("--corpus", type=Path, metavar="FILE", help="further passages")
    parser.add_argument(
        "--base",
        default="minilm_l6",
        help="the model whose tokenizer counts: a base of conf/base, a folder or a hub id "
        "(%(default)s)",
    )
    parser.add_argument(
        "--max-length",
        type=int,
        help="tokens of query and passage (default: max_length of conf/config.yaml)",
    )
    parser.add_argument(
        "--query-length",
        type=int,
        help="tokens of a query, if it is read apart from the passage as arch=colbert does",
    )
    parser.add_argument(
        "--near-duplicate",
        type=float,
        default=0.8,
        help="Jaccard similarity of word triples from which texts are nearly equal (%(default)s)",
    )
    parser.add_argument("--strict", action="store_true", help="exit with 1 if there are warnings")
    parser.add_argument(
        "--output", type=Path, default=Path("outputs/audit"), metavar="DIR", help="(%(default)s)"
    )
    parser.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="ROLE=NAME",
        help="what a column is called, e.g. text=passage; may be repeated",
    )
    return parser


def _columns(given: Sequence[str]) -> "ColumnsConfig":
    from pipeline.config.datasets import ColumnsConfig

    roles = [field.name for field in fields(ColumnsConfig)]
    names: dict[str, str] = {}
    for word in given:
        role, _, name = word.partition("=")
        if role not in roles or not name:
            raise InputError(f"--column {word}: give ROLE=NAME, ROLE one of {', '.join(roles)}")
        names[role] = name
    return ColumnsConfig(**names)


def _default_length() -> int:
    """The tokens that a cross-encoder reads unless it is configured otherwise."""
    from pipeline.config.compose import compose

    return compose([]).max_length


def _base_path(name: str) -> str:
    """The path of the base of that name in ``conf/base``; any other name is a path itself."""
    from pipeline.config import conf_dir
    from pipeline.config.compose import compose

    if (conf_dir() / "base" / f"{name}.yaml").is_file():
        return compose([f"base={name}"]).base.path
    return name
