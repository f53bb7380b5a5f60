"""Errors as one line and as an exit code: 2 for the user's own mistake, 1 for a failure."""

import errno
import os
import re
import select
import sys
from collections.abc import Callable

from hydra.errors import HydraException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from pipeline.config import KEYS
from pipeline.config.suggestions import no_such_key, no_such_option
from pipeline.infra.redact import mask
from pipeline.infra.signals import Terminated, end_on_sigterm
from pipeline.records import InputError, Refused

MISTAKES = (InputError, HydraException, OmegaConfBaseException)
"""What a user can correct in the command or the data."""

# Hydra's search path and OmegaConf's object types help the authors, not the users.
FOR_AUTHORS = ("Config search path", "reference_type", "object_type")

QUERY = "[SQL:"  # begins the statement that SQLAlchemy appends, with its values

NO_OPTION = re.compile(
    r"Could not find '(.+)/(\S+)'\s+Available options in '\1':\s+(.+?)\s+Config search", re.DOTALL
)
KINDS = {"Integer": "a whole number", "Float": "a number", "bool": "true or false"}
NOT_OF_KIND = re.compile(
    rf"Error merging override (\S+)\nValue .+ (?:could not be converted to ({'|'.join(KINDS)})|"
    rf"is not a valid ({'|'.join(KINDS)}))"
)
NO_LIST = re.compile(
    r"Error merging override (\S+)\nInvalid value assigned: \w+ is not a ListConfig"
)
SEVERAL = re.compile(r"Ambiguous value for argument '(\S+=(.+))'\n1\. To use it as a list")
NO_KEY = re.compile(r"Could not override '([\w.]+)'\.\nTo append to your config use")
"""Hydra's message for a key that the schema lacks; appending it would change nothing."""


def exit_code(command: Callable[[], object]) -> int:
    """Run ``command``: 0 if it returns, 2 for the user's mistake, 1 if it fails or refuses.

    130 after Ctrl-C, 143 after SIGTERM and 141 if the reader of the output has ended, as in shells.
    """
    end_on_sigterm()
    try:
        command()
        sys.stdout.flush()
    except MISTAKES as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 2
    except Refused as error:
        print(f"refused: {one_line(error)}", file=sys.stderr)
        return 1
    except Terminated:
        print("terminated", file=sys.stderr)
        return 143
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _reader_ended():
            return 141
        print(f"failed: {one_line(error)}", file=sys.stderr)
        return 1
    return 0


def _reader_ended() -> bool:
    """Whether the reader of standard output has ended, as ``head`` does after its lines."""
    output = sys.stdout.fileno()
    poll = select.poll()
    poll.register(output, 0)
    if not any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0)):
        return False  # It was another pipe that broke.
    # Python writes the rest when it ends, and would report the same error.
    os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return True


def disk_is_full(error: BaseException | None) -> bool:
    """Whether ``error``, or what led to it, is a write to a full disk."""
    if error is None:
        return False
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    full = full or os.strerror(errno.ENOSPC) in str(error)  # of libraries that are not Python
    return full or disk_is_full(error.__cause__ or error.__context__)


def one_line(error: BaseException) -> str:
    """The message of ``error`` without secrets, with its type unless it is a user's mistake."""
    text = str(error)
    if isinstance(error, OverrideParseException):
        return mask(_not_understood(error.override, text))
    if misspelt := NO_KEY.match(text):
        return no_such_key(misspelt[1], KEYS)
    if wrong := NO_OPTION.search(text):
        return no_such_option(wrong[1], wrong[2], wrong[3].split())
    if several := SEVERAL.match(text):
        grid = f"several values make a grid: python -m pipeline sweep {several[1]}"
        return mask(f"{several[1]}: {grid} (a list is [{several[2]}])")
    cause = error.__cause__
    if isinstance(cause, OmegaConfBaseException) and str(cause) not in text:
        text = f"{text}\n{cause}"
    if wrong := NOT_OF_KIND.match(text):
        return mask(f"{wrong[1]}: must be {KINDS[wrong[2] or wrong[3]]}")
    if wrong := NO_LIST.match(text):
        return mask(f"{wrong[1]}: must be a list, as in [5,10]")
    useful: list[str] = []
    for line in text.splitlines():
        if line.strip().startswith(FOR_AUTHORS):
            break
        useful += line.split()
    message = mask(" ".join(useful).partition(QUERY)[0].rstrip())
    if isinstance(error, (*MISTAKES, Refused)):
        return message
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _not_understood(override: str, problem: str) -> str:
    """Suggest what to write instead of an override that Hydra's grammar rejects."""
    key, equals, value = override.partition("=")
    if not equals:
        return f"{override}: must be KEY=VALUE, as in epochs=2"
    if key == "grid":
        return "grid: quote each line, as in \"grid=['arch=colbert negatives=1,3']\""
    if value.startswith("~"):
        return f"{override}: ~ is not expanded here, write the whole path"
    if value and value[0] not in "'\"[{":
        quoted = value.replace("'", "\\'")
        return f"{override}: quote it: \"{key}='{quoted}'\""
    return " ".join(f"{override}: {problem}".split())
