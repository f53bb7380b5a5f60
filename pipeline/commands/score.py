"""Scores of a model: ``python -m pipeline score model=REF "query" "document" ...``.

Without texts it reads JSON lines ``{"query": ..., "documents": [...]}`` from standard input and
writes each back with its documents best first and their ``scores``. All lines are checked before
the first is scored.
"""

import argparse
import json
import math
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.infra.errors import exit_code
from pipeline.records import InputError

if TYPE_CHECKING:  # torch takes seconds to import, and --help must be fast
    from pipeline.protocols import Scorer

EPILOG = """\
  model=REF is a folder, run:RUN_NAME, models:/NAME@champion or a hub id; hardware.*, rerank.*,
  tracking.*, eval.batch_size and output_dir of the configuration may follow it, before the texts.
  A cross-encoder's score is its logit, a ColBERT's its MaxSim; higher is more relevant.

examples:
  python -m pipeline score model=run:NAME "sort a list" "Sorts in place." "Pops."
  python -m pipeline score model=models:/pydocs@champion < requests.jsonl > scores.jsonl
"""
OVERRIDE = re.compile(
    r"(?:model|output_dir|eval\.batch_size|(?:hardware|rerank|tracking)\.\w+)=.*", re.S
)
CHUNK = 64  # lines scored together


def parse(words: Sequence[str]) -> tuple[str, list[str], list[str]]:
    """The model's reference, the overrides, and the texts: a query and its documents.

    Overrides end where the texts begin, so that a text may hold a ``=``.

    Raises:
        InputError: there is no model, or a query without a document.
    """
    start = next((i for i, word in enumerate(words) if not OVERRIDE.fullmatch(word)), len(words))
    own = {word.partition("=")[0]: word.partition("=")[2] for word in words[:start]}
    texts = list(words[start:])
    if not own.get("model"):
        raise InputError("model=REF is missing: a folder, run:NAME, models:/NAME@ALIAS or a hub id")
    if len(texts) == 1:
        raise InputError("a query needs at least one document: model=REF QUERY DOCUMENT ...")
    if any(not text.strip() for text in texts):
        raise InputError("an empty text: query and documents need at least one letter")
    return own.pop("model"), [f"{key}={value}" for key, value in own.items()], texts


def read_requests(lines: Iterable[str], name: str) -> list[dict[str, Any]]:
    """The objects of JSON lines, checked; empty lines are skipped.

    Raises:
        InputError: a line is not as it should be; names ``name`` and the line's number.
    """
    requests = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(f"{name}:{number}: not valid JSON ({error})") from error
        documents = row.get("documents") if isinstance(row, dict) else None
        texts = [row.get("query"), *documents] if isinstance(documents, list) else [None]
        if len(texts) < 2 or not all(isinstance(text, str) and text.strip() for text in texts):
            raise InputError(
                f'{name}:{number}: must be {{"query": "...", "documents": ["...", ...]}} with '
                "texts that are not empty"
            )
        requests.append(row)
    return requests


def score(words: Sequence[str]) -> None:
    """Print the scores of the texts in ``words``, else of standard input.

    Raises:
        InputError, HydraException, OmegaConfBaseException: an argument or the input is wrong.
        RuntimeError: the model gave a score that is not finite.
    """
    reference, overrides, texts = parse(words)
    if texts:
        requests = [{"query": texts[0], "documents": texts[1:]}]
    elif sys.stdin.isatty():
        raise InputError("give a query and documents, or JSON lines on standard input; see --help")
    else:
        requests = read_requests(sys.stdin, "stdin")

    from pipeline.config.compose import compose

    config = compose(overrides)

    from pipeline.infra import hardware, quiet
    from pipeline.infra.model_files import Runs, locate
    from pipeline.rerankers.saved import load_saved

    quiet.silence()
    folder = locate("model", reference, Runs(config.tracking, Path(config.output_dir) / "cache"))
    machine = hardware.resolve(config.hardware)
    model = load_saved(f"model={reference}", folder, machine, config.eval.batch_size, config.rerank)
    for start in range(0, len(requests), CHUNK):
        for row, ranked in _ranked(model, requests[start : start + CHUNK]):
            if texts:
                for value, document in ranked:
                    print(f"{value:.4f}\t{' '.join(document.split())}")
            else:
                found = {"documents": [d for _, d in ranked], "scores": [s for s, _ in ranked]}
                print(json.dumps(row | found, ensure_ascii=False), flush=True)


def _ranked(
    model: "Scorer", requests: Sequence[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], list[tuple[float, str]]]]:
    """Every request with its (score, document), best first, equal ones in the order given."""
    queries = {str(i): row["query"] for i, row in enumerate(requests)}
    pairs = [
        (str(i), f"{i}.{j}") for i, row in enumerate(requests) for j in range(len(row["documents"]))
    ]
    texts = [document for row in requests for document in row["documents"]]
    passages = {passage: text for (_, passage), text in zip(pairs, texts, strict=True)}
    scores = iter(model.score_pairs(queries, passages, pairs).tolist())
    for row in requests:
        ranked = [(next(scores), document) for document in row["documents"]]
        if not all(math.isfinite(value) for value, _ in ranked):
            raise RuntimeError(f"query {row['query']!r}: the model's scores are not finite")
        yield row, sorted(ranked, key=lambda pair: -pair[0])


def main() -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline score",
        description="Score documents for a query, best first; without texts, JSON lines on stdin.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("words", nargs="*", metavar="model=REF QUERY DOCUMENT")
    words = parser.parse_args().words
    return exit_code(lambda: score(words))


if __name__ == "__main__":
    sys.exit(main())
