"""Token vectors are written in fewer bytes, and what is read is as near as those bytes allow."""

import numpy as np
import pytest

from pipeline.rerankers.token_codec import TokenCodec, Vectors

VECTORS = np.array([[0.6, -0.8, 0.0], [0.0, 0.0, 0.0]], dtype=np.float32)


def unit_vectors(tokens: int, size: int) -> Vectors:
    vectors: Vectors = np.random.default_rng(0).standard_normal((tokens, size)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def test_fp16_keeps_three_digits() -> None:
    codec = TokenCodec("fp16", 3)
    assert codec.decode(codec.encode(VECTORS)) == pytest.approx(VECTORS, abs=5e-4)


def test_int8_counts_in_steps_of_the_largest_number() -> None:
    codec = TokenCodec("int8", 3)
    codes = codec.encode(VECTORS)
    # 0.8 is 127 steps of 0.0063, and 0.6 is 95 of them.
    assert codes.numbers.tolist() == [[95, -127, 0], [0, 0, 0]]
    assert float(codes.scales[0]) == pytest.approx(0.8 / 127, rel=1e-3)
    assert codec.decode(codes) == pytest.approx(VECTORS, abs=0.8 / 127)


def test_binary_keeps_signs_and_the_mean() -> None:
    codec = TokenCodec("binary", 3)
    codes = codec.encode(VECTORS)
    assert codes.numbers.tolist() == [[0b10000000], [0]]
    mean = 1.4 / 3
    expected = [[mean, -mean, -mean], [0, 0, 0]]
    assert codec.decode(codes) == pytest.approx(np.array(expected), abs=1e-3)


@pytest.mark.parametrize(
    ("kind", "size", "bytes_of_a_token"),
    [("fp16", 128, 256), ("int8", 128, 128), ("binary", 128, 16), ("binary", 20, 3)],
)
def test_a_token_takes_so_many_bytes(kind: str, size: int, bytes_of_a_token: int) -> None:
    codec = TokenCodec(kind, size)
    codes = codec.encode(unit_vectors(7, size))
    assert codes.numbers.nbytes == 7 * bytes_of_a_token
    assert codes.numbers.dtype == codec.dtype
    assert codec.decode(codes).shape == (7, size)


@pytest.mark.parametrize(("kind", "largest"), [("fp16", 1e-3), ("int8", 0.01)])
def test_similarities_hardly_change(kind: str, largest: float) -> None:
    vectors, codec = unit_vectors(200, 128), TokenCodec(kind, 128)
    change = vectors @ (codec.decode(codec.encode(vectors)) - vectors).T
    assert np.abs(change).max() < largest
