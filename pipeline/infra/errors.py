"""Errors as one line and as an exit code: 2 for the user's own mistake, 1 for a failure.

Also the signals that end a command, and the step of the recipe in which an error was raised.
"""

import errno
import os
import re
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType

from hydra.errors import HydraException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from pipeline.config import KEYS
from pipeline.config.suggestions import no_such_key, no_such_option
from pipeline.infra.console import working
from pipeline.infra.redact import mask
from pipeline.records import InputError, Refused

Handler = Callable[[int, FrameType | None], object]
SCHEDULER_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
"""Signals that tell a process to end; submitit (SLURM) uses the last or, if set, the second."""

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
NO_KEY = re.compile(r"Could not override '([\w.]+)'\.\nTo append to your config use")
"""Hydra's message for a key that the schema lacks; appending it would change nothing."""


class Terminated(KeyboardInterrupt):
    """A signal that ends the command: what is open is closed and recorded, as after Ctrl-C.

    ``__cause__`` is the exception with which a scheduler's own handler answered, if any.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self._number = number

    def __reduce__(self) -> tuple[type["Terminated"], tuple[int], dict[str, object]]:
        """Pickle the number in place of the name, as a worker process sends the exception."""
        return type(self), (int(self._number),), vars(self)


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


def end_on_sigterm() -> None:
    """Make SIGTERM raise Terminated, unless it has another handler already."""
    main = threading.current_thread() is threading.main_thread()
    if main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, terminate)


def terminate(number: int, frame: FrameType | None) -> None:
    """Handle SIGTERM by raising Terminated."""
    signal.signal(number, signal.SIG_IGN)  # A second signal must not interrupt the recording.
    raise Terminated(number)


@contextmanager
def signals_terminate() -> Iterator[None]:
    """Within the block, what the signal handlers of a scheduler raise arrives as Terminated.

    A handler that requeues the job (submitit's) leaves by ``sys.exit`` or an exception of its own,
    which could not be told from a failure of the work. The outermost block raises it again.
    """
    own: dict[signal.Signals, tuple[Handler, Handler]] = {}
    main = threading.current_thread() is threading.main_thread()
    for number in SCHEDULER_SIGNALS if main else ():  # Python lets no other thread set handlers.
        handler = signal.getsignal(number)
        if callable(handler) and not isinstance(handler, partial):  # else in an outer block
            own[number] = (partial(_terminate_by, handler), handler)
            signal.signal(number, own[number][0])
    try:
        yield
    except Terminated as end:
        if not own or end.__cause__ is None:
            raise
        raise end.__cause__ from None
    finally:
        for number, (wrapper, handler) in own.items():
            if signal.getsignal(number) is wrapper:  # The handler may have set another.
                signal.signal(number, handler)


def _terminate_by(handler: Handler, number: int, frame: FrameType | None) -> None:
    try:
        handler(number, frame)
    except Terminated:
        raise
    except BaseException as error:
        raise Terminated(number) from error


@contextmanager
def step(name: str, spent: dict[str, float] | None = None) -> Iterator[None]:
    """Mark what the block raises as failed in the step ``name``; of nested steps the inner one.

    Its wall seconds are added to those of ``name`` in ``spent``. Without a terminal, a log line
    says every minute that the step is at work.
    """
    start = time.perf_counter()
    try:
        with working(name):
            yield
    except BaseException as error:
        vars(error).setdefault("step", name)
        raise
    finally:
        if spent is not None:
            spent[name] = spent.get(name, 0.0) + time.perf_counter() - start


def disk_is_full(error: BaseException | None) -> bool:
    """Whether ``error``, or what led to it, is a write to a full disk."""
    if error is None:
        return False
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    full = full or os.strerror(errno.ENOSPC) in str(error)  # of libraries that are not Python
    return full or disk_is_full(error.__cause__ or error.__context__)


def step_of(error: BaseException) -> str:
    """The step of the recipe that raised ``error``; "start" if it was none."""
    return str(vars(error).get("step", "start"))


def one_line(error: BaseException) -> str:
    """The message of ``error`` without secrets, with its type unless it is a user's mistake."""
    text = str(error)
    if isinstance(error, OverrideParseException):
        return mask(_not_understood(error.override, text))
    if misspelt := NO_KEY.match(text):
        return no_such_key(misspelt[1], KEYS)
    if wrong := NO_OPTION.search(text):
        return no_such_option(wrong[1], wrong[2], wrong[3].split())
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
    if value.startswith("~"):
        return f"{override}: ~ is not expanded here, write the whole path"
    if value and value[0] not in "'\"[{":
        quoted = value.replace("'", "\\'")
        return f"{override}: quote it: \"{key}='{quoted}'\""
    return " ".join(f"{override}: {problem}".split())
