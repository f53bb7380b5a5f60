"""Import heavy libraries in less time.

torch, transformers, MLflow and LanceDB make about a million objects that stay. Python searches them
for garbage again and again, which is a fifth of the time that a point takes to start.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """Collect no garbage within the block, and never search what there is at its end.

    The block is to do nothing but import, before any model is loaded: a model in a cycle would
    never be freed. A block that finds everything imported changes nothing.
    """
    enabled, modules = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > modules:
            gc.freeze()
        if enabled:
            gc.enable()
