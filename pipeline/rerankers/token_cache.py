"""Keep token vectors in memory, by the text of the passage.

A server has no table to look into: its clients send texts, and the id of a text is that of one
request. What is kept ends with the process.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import blake2b

from pipeline.rerankers.token_codec import Codes

MOST_BYTES = 2**30  # as for 67,000 passages of 60 tokens of 128 numbers in fp16
ENTRY = 500  # bytes of the Python objects of a passage, without its numbers

Encode = Callable[[Sequence[str]], Sequence[Codes]]
"""Texts -> the codes of each."""


class TokenCache:
    """The codes of passages, in at most ``most_bytes``; those read least recently go first.

    Only one thread may use it at a time, as with the model that encodes.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.bytes = 0  # of all passages that are kept
        self._most = most_bytes
        self._kept: OrderedDict[bytes, Codes] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def read(self, texts: Sequence[str], encode: Encode) -> list[Codes]:
        """Return the codes of each text; ``encode`` makes those that are not kept, once each."""
        keys = [_key(text) for text in texts]
        found = {key: self._kept[key] for key in keys if key in self._kept}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        if missing:
            found |= zip(missing, encode(list(missing.values())), strict=True)
        for key, codes in found.items():
            self._keep(key, codes)
        while self.bytes > self._most:
            _, codes = self._kept.popitem(last=False)
            self.bytes -= _size(codes)
        return [found[key] for key in keys]

    def _keep(self, key: bytes, codes: Codes) -> None:
        if key not in self._kept:
            self._kept[key] = codes
            self.bytes += _size(codes)
        self._kept.move_to_end(key)


def _key(text: str) -> bytes:
    """A hash for which no client finds two texts that share it."""
    return blake2b(text.encode(), digest_size=32).digest()


def _size(codes: Codes) -> int:
    return codes.numbers.nbytes + codes.scales.nbytes + ENTRY
