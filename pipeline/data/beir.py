"""Read a folder in BEIR layout: corpus.jsonl, queries.jsonl, qrels/{train,dev,test}.tsv.

Each file may be gzipped (``.gz``). Gains are kept as they are; a gain of 0 or less means
"judged irrelevant", is kept apart and counted. ``test.tsv`` is required. Without ``dev.tsv`` the
dev queries are drawn from the training queries, and share no relevant passage with the others.
Without both others there is only test.
"""

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from pipeline.config.bounds import require
from pipeline.config.datasets import BeirConfig
from pipeline.data.corpus import Corpus, CorpusWriter, DuplicateId
from pipeline.data.drawing import groups_of, split_off_dev
from pipeline.data.readers.labels import EXPECTED, parse_label
from pipeline.data.readers.lines import (
    fail,
    file_facts,
    numbered_lines,
    numbered_objects,
    text_field,
)
from pipeline.data.splits import Splits, limit_corpus, query_set, within_limits, without_leaks
from pipeline.data.text import leak_key
from pipeline.infra.console import live_line
from pipeline.records import InputError, Qrels, QuerySet

PASSAGE = '{"_id": "d1", "title": "optional", "text": "..."}'
QUERY = '{"_id": "q1", "text": "..."}'
HEADER = "query-id<TAB>corpus-id<TAB>score"
UNKNOWN = "is not in {}; add it there or delete this line"
DRAWN_SHARE = 5  # without dev.tsv at most every fifth training query becomes a dev query


class _Files(NamedTuple):
    corpus: Path
    queries: Path
    qrels: dict[str, Path]  # split -> file


class _Texts(NamedTuple):
    """Passages and queries by id, and the ids of those without a text."""

    corpus: Corpus
    empty_passages: set[str]
    queries: dict[str, str]
    empty_queries: set[str]


def inputs(config: BeirConfig) -> dict[str, object]:
    """Return what determines the content: limits and files, not where the files are.

    Raises:
        InputError: a needed file is missing.
    """
    root = Path(config.path)
    files = _find(root)
    settings = {key: value for key, value in asdict(config).items() if key != "path"}
    facts = file_facts(root, [files.corpus, files.queries, *files.qrels.values()])
    return {**settings, "files": facts}


def build(config: BeirConfig, folder: Path) -> Splits:
    """Write ``folder/corpus`` and return the splits.

    Raises:
        InputError: a file is broken, an id unknown or a limit too small; the message names
            file and line, or the key.
    """
    files = _find(Path(config.path))
    corpus, empty_passages = _read_corpus(files.corpus, folder / "full")
    texts = _Texts(corpus, empty_passages, *_read_queries(files.queries))
    dropped = Counter(empty_passage=len(texts.empty_passages), empty_query=len(texts.empty_queries))
    given: dict[str, QuerySet] = {}
    for split, path in files.qrels.items():
        qrels, irrelevant = _read_qrels(path, split, files, texts, dropped)
        given[split] = query_set(qrels, texts.queries, qrels, irrelevant)
    if not given["test"]:
        raise InputError(f"{files.qrels['test']}: no query has a passage with a score above 0")

    whole = _disjoint(given, corpus, config, dropped)
    drawn = 0 if "dev" in given else len(whole["dev"])
    given_train = len(given["train"]) - drawn if "train" in given else 0
    splits = within_limits(whole, given, config, corpus, dropped, given_train)
    limit_corpus(folder / "full", folder / "corpus", config.max_corpus, config.seed, splits[:3])
    return splits


def _disjoint(
    given: dict[str, QuerySet], corpus: Corpus, config: BeirConfig, dropped: Counter[str]
) -> dict[str, QuerySet]:
    """Make the splits disjoint before any limit: what two share stays in test, else in dev."""
    nothing = QuerySet({}, {})
    test, train = given["test"], given.get("train", nothing)
    if "dev" in given:
        dev = without_leaks(given["dev"], "dev", corpus, {"test": test}, dropped, config.disjoint)
        train = without_leaks(
            train, "train", corpus, {"test": test, "dev": dev}, dropped, config.disjoint
        )
        return {"train": train, "dev": dev, "test": test}

    train = without_leaks(train, "train", corpus, {"test": test}, dropped, config.disjoint)
    same = {query_id: leak_key(text) for query_id, text in train.queries.items()}
    groups = groups_of(train, corpus, same, {})
    most = len(train) // DRAWN_SHARE
    if config.max_dev_queries is not None:
        most = min(most, config.max_dev_queries)
    train, dev = split_off_dev(groups, train, most / max(1, len(train)), config.seed)
    # A passage that is relevant to a dev query can be judged irrelevant to a training query.
    train = without_leaks(train, "train", corpus, {"dev": dev}, dropped)
    return {"train": train, "dev": dev, "test": test}


def _find(root: Path) -> _Files:
    require(root.is_dir(), "dataset.path", root, "is not a folder; give one in BEIR layout")
    corpus, queries = _needed(root / "corpus.jsonl", root), _needed(root / "queries.jsonl", root)
    qrels = {"test": _needed(root / "qrels/test.tsv", root)}
    for split in ("train", "dev"):
        if (path := _plain_or_gz(root / "qrels" / f"{split}.tsv")) is not None:
            qrels[split] = path
    return _Files(corpus, queries, qrels)


def _needed(path: Path, root: Path) -> Path:
    if (found := _plain_or_gz(path)) is None:
        raise InputError(
            f"{path}: no such file (nor {path.name}.gz); {root} must hold corpus.jsonl, "
            f"queries.jsonl and qrels/test.tsv"
        )
    return found


def _plain_or_gz(path: Path) -> Path | None:
    zipped = path.with_name(f"{path.name}.gz")
    return path if path.is_file() else zipped if zipped.is_file() else None


def _read_corpus(path: Path, folder: Path) -> tuple[Corpus, set[str]]:
    """Write the passages to ``folder``; return them and the ids of those without a text."""
    empty: set[str] = set()
    try:
        with CorpusWriter(folder) as writer:
            for line, row in live_line(
                "reading passages", "passage", numbered_objects(path, PASSAGE)
            ):
                doc_id = text_field(row, "_id", path, line, PASSAGE)
                text = text_field(row, "text", path, line, PASSAGE)
                if row.get("title"):
                    text = f"{text_field(row, 'title', path, line, PASSAGE)} {text}"
                if text.strip():
                    writer.add(doc_id, text.strip())
                else:
                    empty.add(doc_id)
    except DuplicateId as error:
        doc_id = error.args[0]
        lines = [line for line, row in numbered_objects(path, PASSAGE) if row["_id"] == doc_id]
        fail(path, lines[1], f'the _id "{doc_id}" is on line {lines[0]} already; give another')
    corpus = Corpus(folder)
    if not corpus:
        raise InputError(f"{path}: no passage with a text; a line looks like {PASSAGE}")
    return corpus, empty


def _read_queries(path: Path) -> tuple[dict[str, str], set[str]]:
    """Return query id -> text, and the ids of the queries without a text."""
    queries: dict[str, str] = {}
    empty: set[str] = set()
    for line, row in numbered_objects(path, QUERY):
        query_id = text_field(row, "_id", path, line, QUERY)
        if query_id in queries or query_id in empty:
            fail(path, line, f'the _id "{query_id}" is on an earlier line already; give another')
        text = text_field(row, "text", path, line, QUERY).strip()
        if text:
            queries[query_id] = text
        else:
            empty.add(query_id)
    return queries, empty


def _read_qrels(
    path: Path, split: str, files: _Files, texts: _Texts, dropped: Counter[str]
) -> tuple[Qrels, dict[str, list[str]]]:
    """Return query id -> document id -> gain above 0, and query id -> irrelevant documents.

    Every query of the first has at least one document.
    """
    qrels: Qrels = {}
    irrelevant: dict[str, list[str]] = {}
    judged: set[str] = set()
    lines = numbered_lines(path)
    header = next(lines, (1, ""))[1].split("\t")
    if len(header) != 3 or header[2].lstrip(" +-.")[:1].isdigit():
        fail(path, 1, f"not the header, which is {HEADER}")
    for number, line in lines:
        columns = line.split("\t")
        if len(columns) != 3:
            fail(path, number, f"{len(columns)} columns instead of {HEADER}")
        query_id, doc_id, score = columns
        if query_id not in texts.queries and query_id not in texts.empty_queries:
            fail(path, number, f'query-id "{query_id}" {UNKNOWN.format(files.queries.name)}')
        if doc_id not in texts.corpus and doc_id not in texts.empty_passages:
            fail(path, number, f'corpus-id "{doc_id}" {UNKNOWN.format(files.corpus.name)}')
        gain = parse_label(score)
        if gain is None:
            fail(path, number, f'the score "{score}" must be {EXPECTED}')

        judged.add(query_id)
        if query_id in texts.empty_queries or doc_id in texts.empty_passages:
            dropped["judgment_of_empty_text"] += 1
        elif gain <= 0:
            dropped["judged_irrelevant"] += 1
            irrelevant.setdefault(query_id, []).append(doc_id)
        elif (before := qrels.setdefault(query_id, {}).setdefault(doc_id, gain)) != gain:
            fail(path, number, f'"{query_id}" and "{doc_id}" have the score {before} already')
    dropped[f"{split}_query_without_relevant"] += len(judged) - len(qrels)
    # An irrelevant document is listed once, and not if another line makes it relevant.
    for query_id, gains in qrels.items():
        listed = dict.fromkeys(irrelevant.get(query_id, ()))
        irrelevant[query_id] = [doc_id for doc_id in listed if doc_id not in gains]
    return qrels, irrelevant
