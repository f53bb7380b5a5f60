"""A misspelt key is refused with the keys that may have been meant."""

import pytest
from hydra.errors import HydraException

from pipeline.infra.errors import one_line
from pipeline.records import InputError
from tests.points import compose_config

LISTED = " (python -m pipeline run --help lists the keys)"


@pytest.mark.parametrize("sign", ["", "+", "++"])
@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("train.lr", "did you mean train.learning_rate or train.lora_rank?"),
        (
            "learning_rat",
            "did you mean train.learning_rate or arch.learning_rate or train.head_learning_rate?",
        ),
        ("negatvies", "did you mean negatives or retries?"),
        ("eval.topk", "did you mean eval.top_k or eval.overfetch?"),
    ],
)
def test_a_misspelt_key_is_refused_however_it_is_given(sign: str, key: str, said: str) -> None:
    with pytest.raises((InputError, HydraException)) as caught:
        compose_config([f"{sign}{key}=1"])
    assert one_line(caught.value) == f"{key}: no such key; {said}{LISTED}"


@pytest.mark.parametrize("sign", ["", "+", "++"])
def test_a_key_of_another_option_names_that(sign: str) -> None:
    with pytest.raises((InputError, HydraException)) as caught:
        compose_config([f"{sign}arch.document_length=64"])
    assert one_line(caught.value) == "arch.document_length: a key of arch=colbert only"
    with pytest.raises((InputError, HydraException)) as caught:
        compose_config([f"{sign}nothing.like.it=1"])
    assert one_line(caught.value).endswith(f": no such key{LISTED}")
