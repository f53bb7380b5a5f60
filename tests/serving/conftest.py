"""A real server over one tiny model."""

from collections.abc import Iterator

import pytest

from pipeline.serving.app import Served
from tests.scorers import Watched
from tests.servers import rerank_server


@pytest.fixture
def served(watched: Watched) -> Served:
    return Served(watched, "tiny", "cross_encoder", "fp32", "cpu")


@pytest.fixture
def address(served: Served) -> Iterator[str]:
    """A server over ``watched``."""
    with rerank_server(served) as found:
        yield found
