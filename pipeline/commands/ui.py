"""Browse the recorded runs: ``python -m pipeline ui [--port 5000] [OVERRIDES]``."""

from collections.abc import Sequence

from pipeline.commands.arguments import Parser

EPILOG = """\
Starts an MLflow server on this machine over the local store, prints its address once it answers,
and ends with Ctrl-C. A store that is a server already needs none: open its address.

examples:
  python -m pipeline ui
  python -m pipeline ui --port 5001 tracking.experiment=scifact
"""


def main(words: Sequence[str]) -> None:
    """Show the runs until Ctrl-C or SIGTERM.

    Raises:
        InputError, HydraException, OmegaConfBaseException: an override is wrong, there is no
            store yet, it needs no server, or the port is taken.
        RuntimeError: the server ended, or did not answer.
    """
    description = "Browse the recorded runs in MLflow's user interface, on this machine only."
    parser = Parser("ui", description, EPILOG)
    parser.add_argument("--port", type=int, default=5000, help="(%(default)s)")
    parser.add_overrides()
    arguments = parser.parse_intermixed_args(words)

    from pipeline.config.compose import compose
    from pipeline.tracking.ui_server import serve

    serve(compose(arguments.overrides).tracking, arguments.port)
