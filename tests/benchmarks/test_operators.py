"""Operators are put into groups, and what none of them took is the rest."""

import pytest

from benchmarks.operators import REST, group_of, shares, table


@pytest.mark.parametrize(
    ("operator", "group"),
    [
        ("aten::addmm", "matrix products"),
        ("aten::_scaled_dot_product_flash_attention_for_cpu", "attention"),
        ("aten::_softmax_backward_data", "attention"),
        ("aten::native_layer_norm_backward", "layer norm"),
        ("aten::gelu", "activation"),
        ("aten::embedding_dense_backward", "embedding and gathering"),
        ("aten::_fused_adamw_", "optimiser"),
        ("aten::linalg_vector_norm", "optimiser"),
        ("aten::copy_", "casts and copies"),
        ("aten::add", "other operators"),
    ],
)
def test_group_of_an_operator(operator: str, group: str) -> None:
    assert group_of(operator) == group


def test_shares_sum_to_the_time_that_passed() -> None:
    spent = {"aten::addmm": 50.0, "aten::mm": 10.0, "aten::gelu": 15.0}
    found = shares(spent, 100.0)
    assert found == pytest.approx({"matrix products": 0.6, "activation": 0.15, REST: 0.25})
    lines = table({"training, fp32": found}, "Python").splitlines()
    assert lines[0] == "| | training, fp32 |"
    assert "| matrix products | 60% |" in lines
    assert "| attention | 0% |" in lines
    assert lines[-1] == "| Python | 25% |"
