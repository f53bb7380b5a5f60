"""The audit on the command line: ``python -m pipeline audit DATA``."""

import argparse
import sys
from dataclasses import fields
from pathlib import Path

from pipeline.config import conf_dir, register_schemas, typed
from pipeline.config.datasets import ColumnsConfig
from pipeline.infra.errors import exit_code
from pipeline.records import InputError

EPILOG = """\
examples:
  python -m pipeline audit pairs.csv --column text=body --strict
  python -m pipeline audit pairs.jsonl.gz --corpus corpus.jsonl --max-length 512 --output report

DATA is JSON Lines, CSV, TSV or Parquet of query, text and label (optional: query_id, doc_id,
split, group), or of sentence-transformers' pairs, triplets or n-tuples.

exit code: 0 clean or warnings, 1 warnings with --strict, 2 unusable or no such file
"""


def main() -> int:
    """The command line; returns the exit code."""
    options = _parser().parse_args()
    codes: list[int] = []
    return exit_code(lambda: codes.append(_audit(options))) or codes[0]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline audit",
        description="Look for what makes training on labelled rows fail or mislead; saves "
        "audit.json and audit.html.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", type=Path, metavar="DATA", help="the labelled rows")
    parser.add_argument("--corpus", type=Path, metavar="FILE", help="further passages")
    parser.add_argument(
        "--base",
        default="minilm_l6",
        help="whose tokenizer counts: a base of conf/base, a folder or hub id (%(default)s)",
    )
    parser.add_argument(
        "--max-length", type=int, default=256, help="tokens of query and passage (%(default)s)"
    )
    parser.add_argument(
        "--near-duplicate",
        type=float,
        default=0.8,
        help="Jaccard similarity of word triples (%(default)s)",
    )
    parser.add_argument("--strict", action="store_true", help="exit 1 if there are warnings")
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


def _audit(options: argparse.Namespace) -> int:
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
        max_length=options.max_length,
        near_duplicate=options.near_duplicate,
    )
    save(report, options.output)
    console = Console(highlight=False)
    show(report, console)
    console.print()
    for name in ("audit.html", "audit.json"):
        console.print(str(options.output / name), markup=False, soft_wrap=True)
    return report.exit_code(options.strict)


def _columns(given: list[str]) -> ColumnsConfig:
    roles = [field.name for field in fields(ColumnsConfig)]
    columns = ColumnsConfig()
    for word in given:
        role, _, name = word.partition("=")
        if role not in roles or not name:
            raise InputError(f"--column {word}: give ROLE=NAME, ROLE one of {', '.join(roles)}")
        setattr(columns, role, name)
    return columns


def _base_path(name: str) -> str:
    """Where the base of that name in ``conf/base`` lies; anything else is a path itself."""
    if not (conf_dir() / "base" / f"{name}.yaml").is_file():
        return name
    import hydra

    register_schemas()
    with hydra.initialize_config_dir(str(conf_dir().resolve()), version_base="1.3"):
        return typed(hydra.compose("config", [f"base={name}"])).base.path


if __name__ == "__main__":
    sys.exit(main())
