"""Serve a reranker over HTTP: ``python -m pipeline serve model=REF [--port 8080]``."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.commands.arguments import OF_A_SCORER, Parser, model_of, own_keys
from pipeline.records import InputError

if TYPE_CHECKING:  # The help must not wait for torch.
    from pipeline.config import Config
    from pipeline.serving.app import Served

EPILOG = """\
Answers POST /rerank (also /v1/rerank and /v2/rerank) as Cohere, Jina and text-embeddings-inference
do, GET /health and GET /metrics. Scores are those of python -m pipeline score; a request with
"probabilities": true gets probabilities, if the model is calibrated. Requests that wait are scored
together. With rerank.vectors a ColBERT encodes a document once: its vectors are kept in memory, up
to 1 GiB. Ctrl-C or SIGTERM finishes the requests that have begun and ends with 0.

If the environment variable RERANKER_TOKEN is set, clients must send the header
Authorization: Bearer TOKEN. A --host that others can reach needs it.

model=REF is a folder, run:RUN_NAME, models:/NAME@champion or a hub id. hardware.*, rerank.*,
tracking.*, eval.batch_size and output_dir of the configuration may follow it.

examples:
  python -m pipeline serve model=run:NAME
  python -m pipeline serve model=models:/pydocs@champion --port 9000 hardware.precision=fp32
  RERANKER_TOKEN=... python -m pipeline serve model=run:NAME --host 0.0.0.0

  curl http://127.0.0.1:8080/rerank -H 'Content-Type: application/json' \\
    -d '{"query": "sort a list", "documents": ["Sorts in place.", "Pops."]}'
"""


def main(words: Sequence[str]) -> None:
    """Serve the model until Ctrl-C or SIGTERM.

    Raises:
        InputError, HydraException, OmegaConfBaseException: an argument is wrong, the address
            can't be used, or the token is missing.
    """
    arguments = parser().parse_intermixed_args(words)
    own, overrides = own_keys(arguments.words, ("model",))
    reference = model_of(own)
    for word in overrides:
        if not OF_A_SCORER.fullmatch(word):
            raise InputError(f"{word}: serve takes no such key; see --help for those it takes")

    from pipeline.config.compose import compose
    from pipeline.rerankers.batching import BATCHES
    from pipeline.serving import server
    from pipeline.serving.app import create_app
    from pipeline.serving.limits import Limits

    token = server.token_for(arguments.host)
    config = compose(overrides)
    limits = Limits(
        documents=arguments.max_documents,
        body_bytes=arguments.max_body * 2**20,
        seconds=arguments.timeout,
        waiting=arguments.max_waiting,
    )
    # Before the model is loaded, which takes time.
    with server.bind(arguments.host, arguments.port) as listener:
        served = load(reference, config)
        app = create_app(served, limits, token, BATCHES * config.eval.batch_size)
        address = server.listen(listener)
        what = f"{served.architecture}, {served.precision} on {served.device}"
        line = f"{address}/rerank serves {served.name} ({what})  (Ctrl-C stops it)"
        server.run(app, listener, limits, line)


def load(reference: str, config: "Config") -> "Served":
    """Load the model as ``python -m pipeline score`` does, and score a pair with it.

    Raises:
        InputError: there is no such model, or ``config`` does not fit it.
    """
    from pipeline.evaluation.calibration import Calibration, Uncalibrated
    from pipeline.experiment import calibration
    from pipeline.experiment.saved_scorer import find_scorer
    from pipeline.infra import quiet
    from pipeline.infra.stage_cache import StageCache
    from pipeline.rerankers.saved import saved_arch
    from pipeline.serving.app import Served

    quiet.silence()
    found = find_scorer("model", reference, config, StageCache.of(config))
    machine, arch = found.machine, saved_arch(found.folder)
    model = found.load(config.rerank)
    assert arch is not None, "it was not loaded"
    # The first forward pass is slower, so no client gets it.
    model.score_pairs({"q": "warm"}, {"d": "up"}, [("q", "d")])
    probabilities: Calibration | str
    try:
        probabilities = calibration.read(found.folder, config.rerank)
    except Uncalibrated as why:
        probabilities = str(why)
    return Served(model, reference, arch.name, machine.precision, machine.device, probabilities)


def parser() -> Parser:
    """The options, with their defaults in the help."""
    description = "Serve a reranker over HTTP, on this machine only by default."
    found = Parser("serve", description, EPILOG)
    found.add_argument("words", nargs="*", metavar="model=REF KEY=VALUE")
    found.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    found.add_argument("--port", type=int, default=8080, help="0: any free one (%(default)s)")
    for name, default, what in (
        ("--max-documents", 1000, "documents of a request"),
        ("--max-body", 10, "MiB of a request"),
        ("--timeout", 30, "seconds of a request, with all waiting"),
        ("--max-waiting", 64, "requests that wait, others get status 503"),
    ):
        found.add_argument(name, type=_positive, default=default, help=f"{what} (%(default)s)")
    return found


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number of at least 1")
    return int(text)
