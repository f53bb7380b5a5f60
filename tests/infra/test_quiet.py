"""What libraries log while the hub does not answer."""

import logging

import pytest
from huggingface_hub.utils import _http

from pipeline.infra.quiet import silence


def test_retries_of_the_hub_are_one_line(caplog: pytest.LogCaptureFixture) -> None:
    silence()
    silence()
    log = _http.logger
    for number in range(1, 6):
        log.warning("'no route' thrown while requesting HEAD https://huggingface.co/x")
        log.warning(f"Retrying in {number}s [Retry {number}/5].")
    log.warning("Rate limited.")
    lines = ["the Hugging Face hub does not answer, retrying", "Rate limited."]
    assert caplog.messages == lines
    assert logging.getLogger("huggingface_hub").handlers == []
