"""Write a data set to a folder and read it back.

The folder holds ``corpus`` (and ``train_corpus`` if that is another), a JSON Lines file per
split with ``[query id, text, gains, irrelevant ids if any]``, and ``dataset.json`` with the
fingerprint, the counts of dropped rows and the text keys of passages that are never negatives.
"""

import hashlib
import json
from pathlib import Path

from pipeline.data.corpus import Corpus, update_digest
from pipeline.data.judgments import queries_with_trained_passage
from pipeline.data.splits import Splits
from pipeline.records import Dataset, Qrels, QuerySet


def write(splits: Splits, folder: Path) -> None:
    """Write splits and facts beside the corpora that are in ``folder`` already."""
    digest = hashlib.sha256()
    corpora = _corpora(folder)
    for corpus in corpora:
        update_digest(digest, corpus.fingerprint)
    for split, corpus in (("train", corpora[-1]), ("dev", corpora[0]), ("test", corpora[0])):
        queries: QuerySet = getattr(splits, split)
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
    held_out = sorted(key.hex() for key in splits.never_negative.held_out)
    also_relevant = {
        query_id: sorted(key.hex() for key in keys)
        for query_id, keys in sorted(splits.never_negative.also_relevant.items())
    }
    update_digest(digest, json.dumps([held_out, also_relevant]))
    facts = {
        "fingerprint": digest.hexdigest(),
        "dropped": splits.dropped,
        "given_train": splits.given_train,
        "kept_train": splits.kept_train,
        "held_out": held_out,
        "also_relevant": also_relevant,
        "trained_passage": queries_with_trained_passage(
            splits.test, splits.train, corpora[0], corpora[-1]
        ),
    }
    (folder / "dataset.json").write_text(json.dumps(facts, indent=2))


def read(name: str, folder: Path) -> Dataset:
    """Read the data set under this name; its corpora are memory-mapped."""
    facts = json.loads((folder / "dataset.json").read_text())
    corpora = _corpora(folder)
    return Dataset(
        name=name,
        fingerprint=facts["fingerprint"],
        corpus=corpora[0],
        train_corpus=corpora[-1],
        train=_read_split(folder / "train.jsonl"),
        dev=_read_split(folder / "dev.jsonl"),
        test=_read_split(folder / "test.jsonl"),
        dropped=facts["dropped"],
        corpus_fingerprint=corpora[0].fingerprint,
        train_corpus_fingerprint=corpora[-1].fingerprint,
        held_out=frozenset(map(bytes.fromhex, facts["held_out"])),
        also_relevant={
            query_id: frozenset(map(bytes.fromhex, keys))
            for query_id, keys in facts["also_relevant"].items()
        },
        trained_passage=frozenset(facts["trained_passage"]),
        given_train=facts["given_train"],
        kept_train=facts["kept_train"],
    )


def _corpora(folder: Path) -> list[Corpus]:
    """The corpus that is searched, and the training corpus if it is another."""
    return [Corpus(path) for name in ("corpus", "train_corpus") if (path := folder / name).is_dir()]


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
