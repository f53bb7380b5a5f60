"""Order the passages that a search scores the same."""

import hashlib


def tie_key(text: str) -> int:
    """Return what orders passages that a search scores the same: a hash of the text, 64 bits.

    It depends on the content alone. An id may tell which passage is relevant, and so may the
    place in a file.
    """
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), signed=True)
