"""Errors as one line and as an exit code: 2 for the user's own mistake, 1 for what failed."""

import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from types import FrameType

from hydra.errors import HydraException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from pipeline.config import KEYS
from pipeline.config.suggestions import no_such_key
from pipeline.infra.redact import mask
from pipeline.records import InputError, Refused

MISTAKES = (InputError, HydraException, OmegaConfBaseException)
"""What a user can put right in the command or the data."""

# Hydra's search path and OmegaConf's object types are for the authors, not the users.
FOR_AUTHORS = ("Config search path", "reference_type", "object_type")

NO_KEY = re.compile(r"Could not override '([\w.]+)'\.\nTo append to your config use")
"""What Hydra says of a key that the schema lacks; appending it would change nothing."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command like Ctrl-C: what is open is closed and recorded."""


def exit_code(command: Callable[[], object]) -> int:
    """Run ``command``: 0 if it returns, 2 for the user's mistake, 1 if it fails or refuses.

    130 after Ctrl-C and 143 after SIGTERM, as shells have it.
    """
    end_on_sigterm()
    try:
        command()
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
        print(f"failed: {one_line(error)}", file=sys.stderr)
        return 1
    return 0


def end_on_sigterm() -> None:
    """From now on SIGTERM raises Terminated, unless something else handles it already."""
    main = threading.current_thread() is threading.main_thread()
    if main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, terminates)


def terminates(number: int, frame: FrameType | None) -> None:
    """The handler of SIGTERM."""
    signal.signal(number, signal.SIG_IGN)  # a second one must not interrupt the recording
    raise Terminated


def by_signal(error: BaseException) -> bool:
    """Whether the handler of a signal raised it, such as a scheduler's that exits."""
    handlers = (signal.getsignal(number) for number in signal.valid_signals())
    codes = {getattr(handler, "__code__", None) for handler in handlers}
    return any(frame.f_code in codes for frame, _ in traceback.walk_tb(error.__traceback__))


def one_line(error: BaseException) -> str:
    """The message of an error without secrets, with its type unless it is a user's mistake."""
    text = str(error)
    if isinstance(error, OverrideParseException):
        return mask(_not_understood(error.override, text))
    if misspelt := NO_KEY.match(text):
        return no_such_key(misspelt[1], KEYS)
    cause = error.__cause__
    if isinstance(cause, OmegaConfBaseException) and str(cause) not in text:
        text = f"{text}\n{cause}"
    useful: list[str] = []
    for line in text.splitlines():
        if line.strip().startswith(FOR_AUTHORS):
            break
        useful += line.split()
    message = mask(" ".join(useful))
    if isinstance(error, (*MISTAKES, Refused)):
        return message
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _not_understood(override: str, problem: str) -> str:
    """What to write instead of an override that Hydra's grammar does not take."""
    key, equals, value = override.partition("=")
    if not equals:
        return f"{override}: must be KEY=VALUE, as in epochs=2"
    if value.startswith("~"):
        return f"{override}: ~ is not expanded here, write the whole path"
    if value and value[0] not in "'\"[{":
        quoted = value.replace("'", "\\'")
        return f"{override}: quote it: \"{key}='{quoted}'\""
    return " ".join(f"{override}: {problem}".split())
