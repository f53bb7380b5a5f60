"""The step of the recipe that is at work, which an error keeps and whose seconds are counted."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.infra.console import working


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


def step_of(error: BaseException) -> str:
    """The step of the recipe that raised ``error``; "start" if it was none."""
    return str(vars(error).get("step", "start"))
