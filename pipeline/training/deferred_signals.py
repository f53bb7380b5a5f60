"""Signals that arrive during a training step are handled after the step.

So a checkpoint can be written before a handler ends the process.
"""

import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

from pipeline.infra.signals import SCHEDULER_SIGNALS, Handler


class DeferredSignals:
    """Record signals that arrive, and call their handlers on request."""

    def __init__(self) -> None:
        self._handlers: dict[int, Handler] = {}
        self._pending: set[int] = set()

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Defer every signal that has a handler; handle what is still pending at the end.

        Raises:
            BaseException: what a handler raises, such as Terminated or SystemExit.
        """
        # Python lets only the main thread set handlers.
        main = threading.current_thread() is threading.main_thread()
        for number in SCHEDULER_SIGNALS if main else ():
            if callable(handler := signal.getsignal(number)):
                self._handlers[number] = handler
                signal.signal(number, self._note)
        try:
            yield
        finally:
            for deferred, handler in self._handlers.items():
                # A handler may have put another in its place, which then stays.
                if signal.getsignal(deferred) == self._note:
                    signal.signal(deferred, handler)
        self.handle(list(self._pending))

    def pending(self) -> list[bool]:
        """Say for each of ``SCHEDULER_SIGNALS`` whether it arrived in this process."""
        return [number in self._pending for number in SCHEDULER_SIGNALS]

    def handle(self, numbers: Iterable[int]) -> None:
        """Call the handlers of these signals."""
        for number in numbers:
            self._pending.discard(number)
            if number in self._handlers:
                self._handlers[number](number, None)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._pending.add(number)
