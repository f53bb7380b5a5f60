"""Rankings are the same only if what they order otherwise has nearly equal scores."""

import pytest

from benchmarks.bench.scoring import same_order

# As near as the logits of an untrained cross-encoder, whose passages spread over 0.006.
SCORES = {"a": 0.0063, "b": 0.0058, "c": 0.005800004, "d": 0.0001}


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (["a", "b", "c", "d"], True),
        (["a", "c", "b", "d"], True),  # 4e-9 apart
        (["b", "a", "c", "d"], False),  # 5e-4 apart
        (["a", "b", "c", "x"], False),
    ],
)
def test_a_wrong_order_of_near_scores_is_found(other: list[str], same: bool) -> None:
    assert same_order(SCORES | {"x": 0.0002}, ["a", "b", "c", "d"], other) is same
