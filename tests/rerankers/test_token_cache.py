"""Token vectors in memory: each text is encoded once, and those read least recently go first."""

from collections.abc import Sequence

import numpy as np
import pytest

from pipeline.rerankers.token_cache import ENTRY, TokenCache
from pipeline.rerankers.token_codec import Codes

SIZE = ENTRY + 10 * (4 + 2)  # bytes of a passage below


class Encoder:
    """Encodes to 10 tokens of 4 bytes; keeps the texts of the last call."""

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def __call__(self, texts: Sequence[str]) -> list[Codes]:
        self.encoded = list(texts)
        return [
            Codes(np.full((10, 4), ord(text), np.int8), np.ones(10, np.float16)) for text in texts
        ]


def read(cache: TokenCache, texts: str) -> list[str]:
    """Read a passage for each letter; return those that were encoded."""
    encoder = Encoder()
    found = cache.read(list(texts), encoder)
    assert [int(codes.numbers[0, 0]) for codes in found] == [ord(text) for text in texts]
    return encoder.encoded


def test_a_text_is_encoded_once() -> None:
    cache = TokenCache()
    assert read(cache, "abab") == ["a", "b"]
    assert read(cache, "bca") == ["c"]
    assert read(cache, "cab") == []
    assert (len(cache), cache.bytes) == (3, 3 * SIZE)


def test_what_was_read_least_recently_goes_first() -> None:
    cache = TokenCache(most_bytes=3 * SIZE)
    read(cache, "abc")
    read(cache, "a")
    assert read(cache, "d") == ["d"]
    assert read(cache, "acd") == []
    assert read(cache, "b") == ["b"]


@pytest.mark.parametrize("room", [0, 1, 2.5])
def test_the_limit_holds_after_a_request_that_is_larger(room: float) -> None:
    cache = TokenCache(most_bytes=int(room * SIZE))
    for texts in ("abcd", "bcde", "aa"):
        read(cache, texts)
        assert cache.bytes == len(cache) * SIZE <= room * SIZE
