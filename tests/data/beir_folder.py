"""A small folder in BEIR layout, and its configuration."""

import gzip
import json
from pathlib import Path

from pipeline.config.datasets import BeirConfig

CORPUS = [
    {"_id": "d1", "title": "Owls", "text": "They hunt at night."},
    {"_id": "d2", "text": "Bees dance."},
    {"_id": "d3", "title": "", "text": "Über Ameisen: sie bauen Straßen."},
    {"_id": "d4", "text": "Cats sleep."},
    {"_id": "d5", "text": "bees dance"},
    {"_id": "d6", "text": "Dogs bark."},
]
QUERIES = [
    {"_id": "q1", "text": "When do owls hunt?"},
    {"_id": "q2", "text": "Do bees dance?"},
    {"_id": "q3", "text": "What do ants build?"},
    {"_id": "q4", "text": "Who sleeps?"},
    {"_id": "q5", "text": "Who barks?"},
    {"_id": "q6", "text": "when do OWLS hunt"},
    {"_id": "unused", "text": "Not judged."},
]
TEST = [("q1", "d1", 2), ("q1", "d2", 1), ("q1", "d3", 0), ("q3", "d3", -1)]
DEV = [("q4", "d4", 1)]
TRAIN = [("q2", "d5", 1), ("q2", "d6", 3), ("q5", "d6", 1), ("q6", "d6", 1)]
QRELS = {"test": TEST, "dev": DEV, "train": TRAIN}


def jsonl(rows: list[dict[str, str]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def tsv(rows: list[tuple[str, str, int]]) -> str:
    return "query-id\tcorpus-id\tscore\n" + "".join(f"{q}\t{d}\t{s}\n" for q, d, s in rows)


def write(root: Path, suffix: str = "", **changed: str) -> Path:
    """A folder in BEIR layout; ``changed`` gives other contents by stem, "" leaves out."""
    files = {"corpus.jsonl": jsonl(CORPUS), "queries.jsonl": jsonl(QUERIES)}
    files |= {f"qrels/{split}.tsv": tsv(rows) for split, rows in QRELS.items()}
    (root / "qrels").mkdir(parents=True)
    for name, text in files.items():
        content = changed.get(Path(name).stem, text).encode()
        if content:
            data = gzip.compress(content) if suffix == ".gz" else content
            (root / f"{name}{suffix}").write_bytes(data)
    return root


def config(path: Path, **changes: object) -> BeirConfig:
    return BeirConfig(**{"name": "tiny", "path": str(path), **changes})  # type: ignore[arg-type]
