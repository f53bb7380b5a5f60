"""Data sets: one typed ``Dataset`` whatever the source, built once and read from disk."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.config.datasets import (
    BeirConfig,
    DatasetConfig,
    GooaqConfig,
    LabelledConfig,
    PydocsConfig,
)
from pipeline.data import beir, gooaq, pydocs
from pipeline.data.corpus import Corpus, update_digest
from pipeline.data.labelled import split as labelled
from pipeline.data.splits import Splits
from pipeline.infra import provenance
from pipeline.infra import stage_cache as artifacts
from pipeline.records import Dataset, Qrels, QuerySet


class Source(NamedTuple):
    """How to make one kind of data set.

    ``inputs(config)`` is what determines the content; ``build(config, folder)`` writes
    ``folder/corpus``, and ``folder/train_corpus`` if it is another, and returns the splits.
    """

    inputs: Callable[[Any], dict[str, object]]
    build: Callable[[Any, Path], Splits]


SOURCES: dict[type[DatasetConfig], Source] = {
    PydocsConfig: Source(pydocs.inputs, pydocs.build),
    GooaqConfig: Source(gooaq.inputs, gooaq.build),
    BeirConfig: Source(beir.inputs, beir.build),
    LabelledConfig: Source(labelled.inputs, labelled.build),
}


def source_key(config: DatasetConfig) -> str:
    """16 hex digits of what determines the content of the data set; builds nothing.

    Raises:
        InputError: a file or package is missing.
    """
    return artifacts.content_key(_inputs(config))


def load(config: DatasetConfig, cache: Path) -> Dataset:
    """The data set of ``config``, built under ``cache`` unless it is there already.

    Corpora are memory-mapped; queries and judgments are in memory.

    Raises:
        InputError: the source is missing, unreachable, broken or too small for the limits.
    """
    source = SOURCES[type(config)]

    def build(folder: Path) -> None:
        _write(config.name, source.build(config, folder), folder)

    return _read(artifacts.stage_output(cache, "dataset", _inputs(config), build))


def _inputs(config: DatasetConfig) -> dict[str, object]:
    return {"code": provenance.code_version("data"), "source": SOURCES[type(config)].inputs(config)}


def sizes(dataset: Dataset) -> dict[str, int]:
    """How many passages and queries there are."""
    return {
        "corpus": len(dataset.corpus),
        "train_queries": len(dataset.train),
        "dev_queries": len(dataset.dev),
        "test_queries": len(dataset.test),
    }


def summary(dataset: Dataset) -> str:
    """One line: how many passages and queries there are and what was dropped."""
    passages = f"{len(dataset.corpus)} passages"
    if dataset.train_corpus is not dataset.corpus:
        passages += f" (and {len(dataset.train_corpus)} to train on)"
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(dataset.dropped.items()))
    return (
        f"dataset {dataset.name}: {passages}, {len(dataset.train)} train, {len(dataset.dev)} dev "
        f"and {len(dataset.test)} test queries; dropped: {reasons or 'nothing'}"
    )


def _write(name: str, splits: Splits, folder: Path) -> None:
    digest = hashlib.sha256()
    corpora = list(_corpora(folder))
    for corpus in corpora:
        update_digest(digest, corpus.fingerprint)
    for split in ("train", "dev", "test"):
        queries: QuerySet = getattr(splits, split)
        corpus = corpora[-1] if split == "train" else corpora[0]
        with (folder / f"{split}.jsonl").open("w", encoding="utf-8") as file:
            for query_id, text in queries.queries.items():
                row: list[object] = [query_id, text, queries.qrels[query_id]]
                # A limited corpus holds every relevant passage, but not every irrelevant one.
                irrelevant = [d for d in queries.irrelevant.get(query_id, ()) if d in corpus]
                if irrelevant:
                    row.append(irrelevant)
                line = json.dumps(row, ensure_ascii=False)
                update_digest(digest, split, line)
                file.write(line + "\n")
    facts = {"name": name, "fingerprint": digest.hexdigest(), "dropped": splits.dropped}
    (folder / "dataset.json").write_text(json.dumps(facts, indent=2))


def _read(folder: Path) -> Dataset:
    facts = json.loads((folder / "dataset.json").read_text())
    corpora = list(_corpora(folder))
    return Dataset(
        name=facts["name"],
        fingerprint=facts["fingerprint"],
        corpus=corpora[0],
        train_corpus=corpora[-1],
        train=_read_split(folder / "train.jsonl"),
        dev=_read_split(folder / "dev.jsonl"),
        test=_read_split(folder / "test.jsonl"),
        dropped=facts["dropped"],
    )


def _corpora(folder: Path) -> Iterator[Corpus]:
    for name in ("corpus", "train_corpus"):
        if (folder / name).is_dir():
            yield Corpus(folder / name)


def _read_split(path: Path) -> QuerySet:
    queries: dict[str, str] = {}
    qrels: Qrels = {}
    irrelevant: dict[str, list[str]] = {}
    with path.open(encoding="utf-8") as file:
        for line in file:
            query_id, text, gains, *judged = json.loads(line)
            queries[query_id], qrels[query_id] = text, gains
            if judged:
                irrelevant[query_id] = judged[0]
    return QuerySet(queries, qrels, irrelevant)
