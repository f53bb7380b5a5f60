"""Read GooAQ: question-answer rows, cut by row number into training pairs and an index.

Rows come from the Hugging Face hub, or from local Parquet or JSON Lines files with the same
columns. The answers of ``train_rows`` are the training corpus, those of ``index_rows`` are
searched. Test and dev queries are questions of indexed rows. ``a0000123`` and ``q0000123`` are
answer and question of row 123. ``max_corpus`` limits both corpora.
"""

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from pipeline.config.bounds import require
from pipeline.config.datasets import GooaqConfig
from pipeline.data.corpus import Corpus, CorpusWriter
from pipeline.data.judgments import NeverNegative, also_relevant
from pipeline.data.readers.answers import REVISIONS, Row, Rows, hub, local, local_files
from pipeline.data.readers.lines import file_facts
from pipeline.data.splits import (
    HeldOut,
    Splits,
    limit_corpus,
    query_set,
    sample,
    without_leaks,
)
from pipeline.data.text import text_key
from pipeline.infra.console import live_line
from pipeline.records import InputError, Qrels, QuerySet


def inputs(config: GooaqConfig) -> dict[str, object]:
    """Return what determines the content: slices, limits and files or the hub's revision.

    Raises:
        InputError: a limit is missing, or no file is at ``dataset.path``.
    """
    for key in ("max_eval_queries", "max_dev_queries"):
        limit = getattr(config, key)
        require(limit is not None, f"dataset.{key}", "null", "give a number: both share a pool")
    settings = asdict(config)
    if settings.pop("path") is None:
        revision = REVISIONS.get(config.hub_id, "main")
        return {**settings, "revision": revision}
    root = Path(str(config.path))
    facts = file_facts(root if root.is_dir() else root.parent, local_files(root))
    return {**settings, "hub_id": None, "files": facts}


def build(config: GooaqConfig, folder: Path) -> Splits:
    """Write ``folder/corpus`` and ``folder/train_corpus`` and return the splits.

    Raises:
        InputError: the hub cannot be reached, a file is broken, the slices reach beyond the
            last row, or a limit is too small.
    """
    source = hub(config.hub_id) if config.path is None else local(Path(config.path))
    for key in ("index_rows", "train_rows"):
        rows = getattr(config, key)
        require(
            rows[1] <= source.size,
            f"dataset.{key}",
            rows,
            f"there are {source.size} rows, end at {source.size} or before",
        )
    dropped: Counter[str] = Counter()
    moved = _index(config, source, folder, dropped)
    test, dev = _drawn(config, moved, folder, dropped)
    if not test:
        raise InputError(f"dataset.index_rows={config.index_rows}: no row has question and answer")
    indexed = Corpus(folder / "full")
    train = _train(config, source, folder, HeldOut(indexed, {"test": test, "dev": dev}), dropped)
    never = _never_negative(train, moved, folder)
    lost = sum(
        dropped[f"train_{what}_in_{part}"]
        for what in ("query", "passage")
        for part in ("test", "dev")
    )
    kept_train = len(Corpus(folder / "train_questions"))
    for questions in ("index_questions", "train_questions"):
        shutil.rmtree(folder / questions)
    limit_corpus(folder / "full", folder / "corpus", config.max_corpus, config.seed, (test, dev))
    limit_corpus(
        folder / "full_train", folder / "train_corpus", config.max_corpus, config.seed, (train,)
    )
    return Splits(train, dev, test, dict(dropped), never, kept_train + lost, kept_train)


def _index(
    config: GooaqConfig, source: Rows, folder: Path, dropped: Counter[str]
) -> dict[str, str]:
    """Write ``folder/full`` and ``folder/index_questions``; return where answers were repeated.

    The result maps a query id to the answer that an earlier row has too. Of equal answers only
    the first is indexed, and it is relevant to all their questions. Otherwise a copy that is
    ranked in its place would count as a miss.
    """
    first: dict[bytes, str] = {}
    moved: dict[str, str] = {}
    with (
        CorpusWriter(folder / "full") as answers,
        CorpusWriter(folder / "index_questions") as asked,
    ):
        for number, question, answer in _slice(source, config.index_rows, "index", dropped):
            query_id, doc_id = f"q{number:07d}", f"a{number:07d}"
            asked.add(query_id, question)
            kept = first.setdefault(text_key(answer), doc_id)
            if kept == doc_id:
                answers.add(doc_id, answer)
            else:
                moved[query_id] = kept
                dropped["repeated_index_passage"] += 1
    return moved


def _drawn(
    config: GooaqConfig, moved: dict[str, str], folder: Path, dropped: Counter[str]
) -> tuple[QuerySet, QuerySet]:
    """Draw test and dev queries from the questions of the indexed rows."""
    questions = Corpus(folder / "index_questions")
    test_count = config.max_eval_queries or 0
    drawn = sample(questions, test_count + (config.max_dev_queries or 0), config.seed)
    qrels: Qrels = {q: {moved.get(q, _answer(q)): 1} for q in drawn}
    test = query_set(drawn[:test_count], questions, qrels)
    dev = query_set(drawn[test_count:], questions, qrels)
    return test, without_leaks(
        dev, "dev", Corpus(folder / "full"), {"test": test}, dropped, config.disjoint
    )


def _train(
    config: GooaqConfig, source: Rows, folder: Path, held: HeldOut, dropped: Counter[str]
) -> QuerySet:
    """Write the answers of the training rows to ``folder/full_train``; return the queries.

    A row whose question is held out for test or dev is left out, also of the corpus; with
    ``dataset.disjoint=passage`` a row whose answer is, too.
    """
    strict = config.disjoint == "passage"
    with (
        CorpusWriter(folder / "full_train") as answers,
        CorpusWriter(folder / "train_questions") as asked,
    ):
        for number, question, answer in _slice(source, config.train_rows, "train", dropped):
            if (holder := held.query(question)) is not None:
                dropped[f"train_query_in_{holder}"] += 1
            elif strict and (holder := held.passage(answer)) is not None:
                dropped[f"train_passage_in_{holder}"] += 1
            else:
                answers.add(f"a{number:07d}", answer)
                asked.add(f"q{number:07d}", question)

    questions = Corpus(folder / "train_questions")
    if config.max_train_queries is None:
        queries = dict(questions.items())
    else:
        drawn = sample(questions, config.max_train_queries, config.seed)
        queries = {query_id: questions[query_id] for query_id in drawn}
    return QuerySet(queries, {query_id: {_answer(query_id): 1} for query_id in queries})


def _never_negative(train: QuerySet, moved: dict[str, str], folder: Path) -> NeverNegative:
    """Every row counts, drawn or not: any indexed row could have been a test query."""
    indexed, trained = Corpus(folder / "full"), Corpus(folder / "full_train")
    in_index = Corpus(folder / "index_questions").items()
    in_train = Corpus(folder / "train_questions").items()
    found = also_relevant(train, ((text, [_answer(q)]) for q, text in in_train), trained)
    judged = ((text, [moved.get(q, _answer(q))]) for q, text in in_index)
    for query_id, keys in also_relevant(train, judged, indexed).items():
        found[query_id] = found.get(query_id, frozenset()) | keys
    return NeverNegative(frozenset(map(text_key, indexed.values())), found)


def _answer(query_id: str) -> str:
    """Return the id of the answer in the row of this question."""
    return f"a{query_id[1:]}"


def _slice(source: Rows, rows: list[int], name: str, dropped: Counter[str]) -> Iterator[Row]:
    """Yield the rows of a slice, without those that have no question or no answer."""
    found = source.rows(rows[0], rows[1])
    for number, question, answer in live_line(f"{name} rows", "row", found, rows[1] - rows[0]):
        if question.strip() and answer.strip():
            yield number, question.strip(), answer.strip()
        else:
            dropped[f"blank_{name}_row"] += 1
