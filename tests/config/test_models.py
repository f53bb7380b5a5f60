"""What the architectures read, in use and while training."""

import pytest

from pipeline.config.models import ColbertConfig, CrossEncoderConfig


@pytest.mark.parametrize(("given", "read"), [(None, 64), (48, 48), (64, 64), (96, 64)])
def test_training_reads_no_more_than_use(given: int | None, read: int) -> None:
    pairs = CrossEncoderConfig(name="cross_encoder", max_length=64, training_max_length=given)
    passages = ColbertConfig(name="colbert", document_length=64, training_document_length=given)
    assert (pairs.training_tokens, passages.training_tokens) == (read, read)
