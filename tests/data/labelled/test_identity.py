"""Texts that differ by a symbol are different; other spellings of one text are merged, counted."""

from pathlib import Path

import pytest

from pipeline.audit import audit
from tests.data.labelled.labelled_file import Row, assert_no_leaks, made, splits, write

LANGUAGES = ("C", "C++", "C#")
DOSES = ("1.5 mg", "15 mg")


def rows() -> list[Row]:
    """14 queries, each with a passage of its own; 4 queries with a judged negative."""
    found: list[Row] = []
    for verb in ("sort", "read", "open", "close"):
        for name in LANGUAGES:
            query, text = f"How do I {verb} in {name}?", f"To {verb} in {name}, call {verb}."
            found.append({"query": query, "text": text, "label": 1})
    for dose, other in (DOSES, DOSES[::-1]):
        query, text = f"Is {dose} a normal dose?", f"Take {dose} twice a day."
        found.append({"query": query, "text": text, "label": 1})
        found.append({"query": query, "text": f"Take {other} twice a day.", "label": 0})
    found.append({"query": "How do I sort in C#?", "text": "To sort in C, call sort.", "label": 0})
    found.append({"query": "How do I sort in C?", "text": "To sort in C#, call sort.", "label": 0})
    return found


def test_texts_that_differ_by_a_symbol_are_different(tmp_path: Path) -> None:
    dataset = made(write(tmp_path / "a.csv", rows()), near_duplicate=None, test_share=0.3)
    parts = splits(dataset).values()
    assert sum(map(len, parts)) == 14
    assert len(dataset.corpus) == 14
    assert sum(len(docs) for part in parts for docs in part.irrelevant.values()) == 4
    assert all(len(docs) == 1 for part in parts for docs in part.qrels.values())
    assert dataset.dropped == {}
    assert_no_leaks(dataset)  # C, C++ and C# stay in one split


@pytest.mark.parametrize("ids", [("", "7"), ("7", ""), ("", "7", ""), ("7", "", "7")])
def test_an_id_on_some_rows_only_splits_no_judgments(ids: tuple[str, ...], tmp_path: Path) -> None:
    added: list[Row] = [
        {"query": "Who?", "text": f"Text {n}.", "label": 1, "query_id": text_id}
        for n, text_id in enumerate(ids)
    ]
    added += [
        {"query": "When?", "text": "At night.", "label": label, "doc_id": text_id}
        for label, text_id in enumerate(ids, start=1)
    ]
    empty = {"query_id": "", "doc_id": ""}
    path = write(tmp_path / "a.csv", [{**row, **empty} | dict(row) for row in [*rows(), *added]])
    dataset = made(path, test_share=0.3)
    judged = {
        part.queries[query_id]: {dataset.corpus[doc_id]: gain for doc_id, gain in gains.items()}
        for part in splits(dataset).values()
        for query_id, gains in part.qrels.items()
    }
    assert judged["Who?"] == {f"Text {n}.": 1 for n in range(len(ids))}
    assert judged["When?"] == {"At night.": len(ids)}
    assert len(judged) == sum(map(len, splits(dataset).values())) == 16
    assert len(dataset.corpus) == 14 + len(ids) + 1
    report = audit(path, base=None)
    assert (report.facts["queries"], report.facts["passages"]) == (16, len(dataset.corpus))
    assert not {f.kind for f in report.findings} & {"duplicate_queries", "duplicate_passages"}


def test_other_spellings_of_a_text_are_merged_and_counted(tmp_path: Path) -> None:
    again: list[Row] = [
        {"query": "how do i sort in c?", "text": "To sort in C#, call sort.", "label": 0},
        {"query": "How do I sort  in C?", "text": "TO SORT in C++, call sort.", "label": 0},
        {"query": "How do I sort in C?", "text": "To sort in C, call  sort.", "label": 1},
    ]
    path = write(tmp_path / "a.csv", [*rows(), *again])
    dataset = made(path, test_share=0.3)
    counted = {"merged_query": 2, "merged_passage": 2, "repeated_pair": 2}
    assert dataset.dropped == counted

    report = audit(path)
    found = {finding.kind: finding.count for finding in report.findings}
    assert (found["merged_queries"], found["merged_passages"]) == (2, 2)
    assert (report.facts["queries"], report.facts["passages"]) == (14, 14)
