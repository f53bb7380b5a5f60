"""Find near duplicates: texts that share most of their word triples, by MinHash.

datasketch computes 128 minima per text. Texts that agree in one band of the minima are
candidates (Leskovec et al., Mining of Massive Datasets, chapter 3). Candidates are compared by
their shingles.

Bands are sorted as arrays and not kept in datasketch's ``MinHashLSH``, whose Python sets take
more than the memory stated below: 656 MiB and 10.2 s for 100,000 texts of 5 to 14 words, where
this takes 184 MiB and 4.0 s to find the same.
"""

from collections.abc import Iterable, Iterator
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from pipeline.config.bounds import require
from pipeline.data.text import leak_key, text_key, words

SHINGLE = 3  # words; a text of fewer has its single words as shingles
MINIMA = 128  # of one signature
FOUND = 0.98  # share of the pairs just at the threshold that become candidates
KEPT = 2048  # shingles of one text; only longer texts are compared by a sample of them
NEIGHBOURS = 50  # candidates compared with one text per band, nearest in input order first
CHUNK = 1024  # texts whose signatures are computed at a time

Hashes = NDArray[np.uint32]


def groups(texts: Iterable[tuple[str, str]], threshold: float, seed: int = 0) -> dict[str, str]:
    """Map every id to the first id, in input order, of its group of near duplicates.

    ``texts`` are pairs of a unique id and a text. Two texts are linked if the Jaccard
    similarity of their shingle sets is at least ``threshold`` (0 < threshold <= 1) or if
    they share a ``leak_key``; groups are the connected components. A pair just at
    the threshold is overlooked with a probability of at most 2%, a more similar one with less.

    Raises:
        InputError: the threshold is out of its range.
    """
    seen = Texts(seed)
    numbers = {text_id: seen.add(text) for text_id, text in texts}
    leaders = seen.leaders(threshold)
    first: dict[int, str] = {}
    return {text_id: first.setdefault(leaders[n], text_id) for text_id, n in numbers.items()}


class Texts:
    """Distinct texts, numbered from 0 in the order in which they were added.

    Kept per distinct text are two 16-byte keys, 128 minima (512 bytes) and up to 2,048 shingle
    hashes of 4 bytes; the text itself is not kept.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._numbers: dict[bytes, int] = {}
        self._bare: dict[bytes, int] = {}  # leak key -> first number
        self._twins: list[tuple[int, int]] = []  # numbers that share a leak key
        self._shingles: list[Hashes] = []
        self._signatures: list[Hashes] = []

    def __len__(self) -> int:
        return len(self._shingles)

    def add(self, text: str, *forms: str) -> int:
        """Return the number of the text; texts with the same ``text_key`` share it.

        Each of the other ``forms`` of the text gets its number too, unless it has one already.
        """
        key = text_key(text)
        if key not in self._numbers:
            number = self._numbers[key] = len(self)
            first_twin = self._bare.setdefault(leak_key(text), number)
            if first_twin != number:
                self._twins.append((first_twin, number))
            self._shingles.append(_shingles(text))
            if len(self._shingles) % CHUNK == 0:
                self._sign()
        for form in forms:
            self._numbers.setdefault(text_key(form), self._numbers[key])
        return self._numbers[key]

    def leaders(self, threshold: float) -> list[int]:
        """Return for every number the smallest number of its group, as ``groups`` defines it.

        Raises:
            InputError: the threshold is out of its range.
        """
        # Imported here, because not every command looks for near duplicates.
        from scipy.cluster.hierarchy import DisjointSet

        require(0 < threshold <= 1, "near_duplicate", threshold, "must be above 0, up to 1")
        self._sign()
        linked = DisjointSet(range(len(self)))
        for one, other in self._twins:
            linked.merge(one, other)
        for one, other in self._candidates(threshold):
            if not linked.connected(one, other) and _similar(
                self._shingles[one], self._shingles[other], threshold
            ):
                linked.merge(one, other)
        first: dict[int, int] = {}
        return [first.setdefault(linked[number], number) for number in range(len(self))]

    def _sign(self) -> None:
        """Compute the signatures of the texts that have none yet."""
        from datasketch import MinHash  # imports much of scipy

        done = sum(map(len, self._signatures))
        if done < len(self):
            new = MinHash.bulk(
                (hashes.tolist() for hashes in self._shingles[done:]),
                num_perm=MINIMA,
                seed=self._seed,
                hashfunc=int,  # they are hashes already
            )
            self._signatures.append(np.stack([minhash.hashvalues for minhash in new]))

    def _candidates(self, threshold: float) -> Iterator[tuple[int, int]]:
        """Yield pairs of numbers that agree in a band of minima, the larger number first."""
        if not self._signatures:
            return
        signatures, rows = np.concatenate(self._signatures), _rows(threshold)
        random = np.random.default_rng(self._seed)
        factors = random.integers(2**63, size=rows, dtype=np.uint64) * 2 + 1
        for start in range(0, MINIMA - rows + 1, rows):
            band = signatures[:, start : start + rows].astype(np.uint64) @ factors
            order = np.argsort(band, kind="stable")
            changes = np.flatnonzero(np.diff(band[order])) + 1
            edges = np.concatenate(([0], changes, [len(order)]))
            for bucket in np.flatnonzero(np.diff(edges) > 1):
                members = order[edges[bucket] : edges[bucket + 1]].tolist()
                for place, number in enumerate(members):
                    for other in members[max(0, place - NEIGHBOURS) : place]:
                        yield number, other


def _shingles(text: str) -> Hashes:
    """Return the distinct hashes of the word triples, ascending, at most the ``KEPT`` smallest."""
    found = words(text)
    if len(found) >= SHINGLE:
        places = range(len(found) - SHINGLE + 1)
        found = [" ".join(found[i : i + SHINGLE]) for i in places]
    return np.unique(np.array([crc32(shingle.encode()) for shingle in found], np.uint32))[:KEPT]


def _similar(a: Hashes, b: Hashes, threshold: float) -> bool:
    """Whether the Jaccard similarity is at least ``threshold``.

    Exact for sets of less than ``KEPT`` hashes; beyond, the share among the ``KEPT`` smallest
    hashes of the union, an unbiased estimate (standard deviation below 0.012).
    """
    if min(len(a), len(b)) < threshold * max(len(a), len(b)):
        return False
    shared = np.intersect1d(a, b, assume_unique=True)
    if max(len(a), len(b)) < KEPT:
        return bool(len(shared) >= threshold * (len(a) + len(b) - len(shared)))
    union = np.union1d(a, b)[:KEPT]
    return bool(np.count_nonzero(shared <= union[-1]) >= threshold * len(union))


def _rows(threshold: float) -> int:
    """Minima per band: the most with which ``FOUND`` of the pairs at the threshold meet."""
    return next(
        rows
        for rows in range(MINIMA, 0, -1)
        if rows == 1 or 1 - (1 - threshold**rows) ** (MINIMA // rows) >= FOUND
    )
