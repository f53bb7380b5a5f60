"""Score documents for a query: ``python -m pipeline score model=REF "query" "document" ...``."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.commands.arguments import OF_A_SCORER, Parser, model_of, own_keys
from pipeline.config import KEYS
from pipeline.records import InputError

EPILOG = """\
Without texts it reads JSON lines {"query": ..., "documents": [...]} from standard input, and
writes each back with its documents best first and their scores. All lines are checked before the
first is scored.

model=REF is a folder, run:RUN_NAME, models:/NAME@champion or a hub id. hardware.*, rerank.*,
tracking.*, eval.batch_size and output_dir of the configuration may follow it, before the texts.
The score of a cross-encoder is its logit, that of a ColBERT its MaxSim; higher is more relevant.
--probabilities, as first or last word, adds a column, or the key "probabilities".

examples:
  python -m pipeline score model=run:NAME "sort a list" "Sorts in place." "Pops."
  python -m pipeline score model=models:/pydocs@champion < requests.jsonl > scores.jsonl
"""
CHUNK = 64  # lines scored together


def main(words: Sequence[str]) -> None:
    """Print the scores of the texts in ``words``, or else of standard input.

    Raises:
        InputError, HydraException, OmegaConfBaseException: an argument or the input is wrong.
        RuntimeError: the model gave a score that is not finite.
    """
    description = "Score documents for a query, best first; without texts, JSON lines on stdin."
    parser = Parser("score", description, EPILOG)
    parser.add_argument("words", nargs="*", metavar="model=REF QUERY DOCUMENT")
    what = "also the chance of each document to be relevant"
    parser.add_argument("--probabilities", action="store_true", help=what)
    arguments = parser.parse_args(words)
    reference, overrides, texts = parse(arguments.words)

    from pipeline.data.readers.lines import text_lines
    from pipeline.rerankers.requests import read_requests, scored

    if texts:
        requests = [{"query": texts[0], "documents": texts[1:]}]
    elif sys.stdin.isatty():
        raise InputError("give a query and documents, or JSON lines on standard input; see --help")
    else:
        requests = read_requests(text_lines(sys.stdin.buffer, "stdin"), "stdin")

    from pipeline.config.compose import compose

    config = compose(overrides)

    from pipeline.evaluation.calibration import Uncalibrated
    from pipeline.experiment import calibration
    from pipeline.experiment.saved_scorer import find_scorer
    from pipeline.infra import quiet
    from pipeline.infra.stage_cache import StageCache

    quiet.silence()
    found = find_scorer("model", reference, config, StageCache.of(config))
    curve = None
    if arguments.probabilities:
        try:
            curve = calibration.read(found.folder, config.rerank)
        except Uncalibrated as why:
            raise InputError(f"--probabilities: {why}") from why
    model = found.load(config.rerank)
    for start in range(0, len(requests), CHUNK):
        for row in scored(model, requests[start : start + CHUNK]):
            if curve is not None:
                row["probabilities"] = curve.probabilities(row["scores"]).tolist()
            if texts:
                print(*lines(row), sep="\n")
            else:
                print(json.dumps(row, ensure_ascii=False), flush=True)


def lines(row: Mapping[str, Any]) -> Iterator[str]:
    """Write a line per document: its score, its probability if there is one, and its text."""
    columns = [row[name] for name in ("scores", "probabilities") if name in row]
    for document, *values in zip(row["documents"], *columns, strict=True):
        yield "\t".join([*(f"{value:.4f}" for value in values), " ".join(document.split())])


def parse(words: Sequence[str]) -> tuple[str, list[str], list[str]]:
    """The model's reference, the overrides, and the texts: a query and its documents.

    Overrides end where the texts begin, so that a text may hold a ``=``. Such a text is refused
    only if it is a key that may come before the texts.

    Raises:
        InputError: there is no model, a query without a document, or a key behind the texts.
    """
    no_overrides = (i for i, word in enumerate(words) if not OF_A_SCORER.fullmatch(word))
    start = next(no_overrides, len(words))
    own, overrides = own_keys(words[:start], ("model",))
    texts = list(words[start:])
    model = model_of(own)
    if len(texts) == 1:
        raise InputError("a query needs at least one document: model=REF QUERY DOCUMENT ...")
    for text in texts:
        if OF_A_SCORER.fullmatch(text) and text.partition("=")[0] in KEYS:
            raise InputError(f"{text}: a key, put it before the texts")
    if any(not text.strip() for text in texts):
        raise InputError("an empty text: query and documents need at least one letter")
    return model, overrides, texts
