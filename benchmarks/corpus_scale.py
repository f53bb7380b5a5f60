"""Time per passage and peak memory of indexing and mining, from 10,000 to 1,000,000 passages.

    python benchmarks/corpus_scale.py [SIZE ...]

Synthetic: passages of 60 words from a vocabulary of 50,000 (Zipf), unit vectors of 384 random
numbers in place of an embedder, whose time and memory depend on its batch and not on the corpus.
Each size runs in a process of its own, in a temporary folder. Prints one row a stage.
"""

import argparse
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from pipeline.config.index import IndexConfig
from pipeline.config.training import MiningConfig
from pipeline.data.corpus import Corpus, CorpusWriter
from pipeline.infra.hardware import measured
from pipeline.records import Dataset, QuerySet
from pipeline.retrieval.candidates import retrieve
from pipeline.retrieval.embedder import Vectors
from pipeline.retrieval.index import PassageTable, build_table
from pipeline.training.negatives import mine_negatives

SIZES = (10_000, 100_000, 1_000_000)
DIMENSION = 384
QUERIES = 2_000  # mined for, and searched in all modes
EXACT_UP_TO = 100_000  # a query takes as long as all passages take to read
WORDS = np.array([f"w{number}" for number in range(50_000)])


class RandomVectors:
    """An embedder without a model: the same text gets the same random unit vector."""

    dimension = DIMENSION

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        """Shape (len(texts), 384), from a seed that is the first text's checksum."""
        rng = np.random.default_rng(zlib.crc32(texts[0].encode()))
        vectors = rng.standard_normal((len(texts), DIMENSION), dtype=np.float32)
        unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit

    encode_queries = encode_passages


def passages(size: int) -> Iterator[tuple[str, str]]:
    """(id, text), a thousand drawn at a time."""
    rng = np.random.default_rng(0)
    for start in range(0, size, 1000):
        ranks = np.minimum(rng.zipf(1.3, (1000, 60)), len(WORDS)) - 1
        for offset, words in enumerate(WORDS[ranks]):
            yield f"d{start + offset:07}", " ".join(words)


def run(size: int, folder: Path) -> None:
    """One size, a line for each stage."""
    embedder = RandomVectors()

    def report(stage: str, seconds: float, unit: int, peak: float) -> None:
        print(f"| {size:,} | {stage} | {seconds:.0f} | {1e6 * seconds / unit:,.0f} | {peak:,.0f} |")

    with measured() as cost, CorpusWriter(folder / "corpus") as writer:
        for doc_id, text in passages(size):
            writer.add(doc_id, text)
    report("write passages", cost.seconds, size, cost.peak_mib)
    corpus = Corpus(folder / "corpus")
    searches = {"exact": size, "IVF_HNSW_SQ": 0} if size <= EXACT_UP_TO else {"IVF_HNSW_SQ": 0}
    for name, above in searches.items():
        table_folder = folder / name
        with measured() as cost:
            index = IndexConfig(vector_index_above=above)
            build_table(table_folder, corpus, embedder, index, folder / f"embedded-{name}")
        report(f"index, {name} and full text", cost.seconds, size, cost.peak_mib)
        table = PassageTable(table_folder)
        chosen = list(corpus)[:: size // QUERIES][:QUERIES]
        texts = {f"q{number}": corpus[d][:60] for number, d in enumerate(chosen)}
        qrels = {query: {d: 1} for query, d in zip(texts, chosen, strict=True)}
        train, none = QuerySet(texts, qrels), QuerySet({}, {})
        dataset = Dataset("scale", "0", corpus, corpus, train, none, none)
        config = MiningConfig(embedder=None, last_rank=100)  # type: ignore[arg-type]
        out = folder / f"mined-{name}"
        out.mkdir()
        with measured() as cost:
            mine_negatives(out, dataset, table, embedder, config, 0)
        report(f"mine, {name}, a query", cost.seconds, QUERIES, cost.peak_mib)
        with measured() as cost:
            retrieve(texts, table, embedder, 40, 100, 60, {})
        report(f"candidates, {name}, a query", cost.seconds, QUERIES, cost.peak_mib)


def main() -> None:
    """All sizes, or with ``--one FOLDER`` the first of them in this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=SIZES, metavar="SIZE")
    parser.add_argument("--one", type=Path, metavar="FOLDER", help="one size, in this process")
    words = parser.parse_args()
    if words.one:
        run(words.sizes[0], words.one)
        return
    print("| passages | stage | seconds | microseconds each | peak MiB |")
    print("| ---: | --- | ---: | ---: | ---: |", flush=True)
    for size in words.sizes:
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.executable, __file__, str(size), "--one", folder], check=True)


if __name__ == "__main__":
    main()
