"""Dispatch ``python -m pipeline [COMMAND] [overrides]``; without a command one point runs.

A command is a module of ``pipeline.commands`` with a function ``main(words)``, which raises what
goes wrong. Only this module turns an error into an exit code.
"""

import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module

from pipeline.config import GROUPS, KEYS
from pipeline.infra.errors import exit_code
from pipeline.records import InputError

COMMANDS = {
    "run": "train and measure one point; the default",
    "sweep": "train and compare every point of a grid; resume an interrupted one",
    "plan": "list what a sweep would do, without doing it",
    "report": "compare finished runs again, on the terminal and as a page",
    "compare": "put two runs side by side",
    "evaluate": "measure a model against another one, or against no reranking",
    "score": "score documents for a query",
    "serve": "answer rerank requests over HTTP",
    "promote": "make a run's model the champion of the model registry",
    "ui": "browse the recorded runs in MLflow's user interface",
    "audit": "look for faults in labelled data before training",
    "clean-cache": "remove cached stage outputs that no run has used",
}

USAGE = """\
usage: python -m pipeline [COMMAND] [KEY=VALUE ...]

Should I train a reranker, which one, and what does it cost?

commands:
{commands}

Without a command one point runs, as in: python -m pipeline arch=colbert negatives=2
For the arguments of a command, with examples: python -m pipeline COMMAND --help
For the keys of a point: python -m pipeline run --help

exit code: 0 done, 1 failed or refused, 2 a mistake in the command or the data
"""


def main() -> None:
    """Run the command of ``sys.argv`` and exit with its code."""
    sys.exit(exit_code(lambda: dispatch(sys.argv[1:])))


def dispatch(words: Sequence[str]) -> None:
    """Run the command that ``words`` begin with, or one point if they begin with none.

    Raises:
        InputError: the first word is neither a command nor an override.
        Exception: what the command raises.
    """
    first = words[0] if words else ""
    if first in ("help", "--help", "-h"):
        if words[1:]:
            return dispatch([*words[1:], "--help"])
        print(USAGE.format(commands=_listed()), end="")
        return None
    name = "run"
    if first in COMMANDS:
        name, words = first, words[1:]
    elif first and "=" not in first and first[0] not in "-~":
        raise InputError(_no_such_command(first))
    module = import_module(f"pipeline.commands.{name.replace('-', '_')}")
    return module.main(list(words))  # type: ignore[no-any-return]


def _listed() -> str:
    return "\n".join(f"  {name:<12} {what}" for name, what in COMMANDS.items())


def _no_such_command(word: str) -> str:
    if (key := word.rstrip(":")) in {*KEYS, *GROUPS}:
        return f"{key}: write {key}=VALUE, without spaces"
    close = get_close_matches(word, COMMANDS, n=1)
    hint = f", did you mean {close[0]}?" if close else ""
    return f"{word}: no such command{hint} (python -m pipeline --help lists the commands)"


if __name__ == "__main__":
    main()
