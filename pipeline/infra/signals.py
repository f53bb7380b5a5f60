"""Signals that end a command: what is open is closed and recorded first."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType

Handler = Callable[[int, FrameType | None], object]
SCHEDULER_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
"""Signals that tell a process to end; submitit (SLURM) uses the last or, if set, the second."""


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
