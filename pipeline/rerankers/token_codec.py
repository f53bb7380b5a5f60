"""Write the token vectors of a ColBERT in fewer bytes, and read them.

Bytes of a token of 128 numbers:

- fp16: 256, for the numbers.
- int8: 130, for the numbers in steps of 1/127 of the token's largest one, which takes 2.
- binary: 18, for the signs, and the mean of the token's absolute values, which takes 2.

Only passages are stored. The query keeps its full precision.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
"""The token vectors of one passage, shape (tokens, size)."""


class Codes(NamedTuple):
    """Stored token vectors: ``numbers`` has shape (tokens, width), ``scales`` (tokens,)."""

    numbers: npt.NDArray[Any]  # float16, int8, or uint8 with 8 signs each
    scales: npt.NDArray[np.float16]


@dataclass(frozen=True)
class TokenCodec:
    """Encodes as ``kind``, of ``config.stages.VECTORS``, vectors of ``size`` numbers."""

    kind: str
    size: int

    @property
    def width(self) -> int:
        """How many numbers of ``dtype`` a token has."""
        return -(-self.size // 8) if self.kind == "binary" else self.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the stored numbers."""
        return np.dtype({"fp16": np.float16, "int8": np.int8, "binary": np.uint8}[self.kind])

    def encode(self, vectors: Vectors) -> Codes:
        """Encode vectors of any length; all zeros stay so."""
        if self.kind == "fp16":
            ones = np.ones(len(vectors), dtype=np.float16)
            return Codes(vectors.astype(np.float16), ones)
        if self.kind == "binary":
            means = np.abs(vectors).mean(axis=1).astype(np.float16)
            return Codes(np.packbits(vectors > 0, axis=1), means)
        # Rounded up, so that the largest number stays within 127 steps.
        largest = np.nextafter(
            (np.abs(vectors).max(axis=1) / 127).astype(np.float16), np.float16(1)
        )
        steps = np.rint(vectors / largest[:, None].astype(np.float32))
        return Codes(steps.astype(np.int8), largest)

    def decode(self, codes: Codes) -> Vectors:
        """Decode to float32, shape (tokens, size)."""
        if self.kind == "binary":
            signs = np.unpackbits(codes.numbers, axis=1, count=self.size)
            numbers = signs.astype(np.float32) * 2 - 1
        else:
            numbers = codes.numbers.astype(np.float32)
        scaled: Vectors = numbers * codes.scales[:, None].astype(np.float32)
        return scaled
