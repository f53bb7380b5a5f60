"""Planted faults are all found with their lines; clean data has none."""

import json
from pathlib import Path

import pytest

from pipeline.audit import audit
from pipeline.audit.findings import Report
from pipeline.commands.audit import main
from pipeline.config.datasets import ColumnsConfig
from pipeline.infra.errors import exit_code
from pipeline.records import InputError
from tests.audit.conftest import Row, rows_of, write

Texts = list[tuple[str, str]]


def kinds(report: Report, severity: str) -> set[str]:
    return {finding.kind for finding in report.findings if finding.severity == severity}


def examples(report: Report, kind: str) -> str:
    (found,) = [finding for finding in report.findings if finding.kind == kind]
    return "\n".join(found.examples)


def run(*words: object) -> int:
    return exit_code(lambda: main([str(word) for word in words]))


def test_clean_data_has_nothing_above_info(texts: Texts, tmp_path: Path) -> None:
    report = audit(write(tmp_path / "clean.jsonl", rows_of(texts[:300])))
    assert kinds(report, "unusable") | kinds(report, "warning") == set()
    assert (report.unusable, report.has_warnings) == (False, False)
    assert report.facts["pairs"] == report.facts["rows"] == 600
    assert report.facts["queries"] == report.facts["passages"] == 300
    assert report.facts["labels"] == {"0": 300, "1": 300}
    assert report.facts["splits"] == {"train": {"0": 200, "1": 200}, "test": {"0": 100, "1": 100}}
    assert report.facts["positives_per_query"] == {"1": 300}


def test_all_twelve_planted_faults_are_named(texts: Texts, tmp_path: Path) -> None:
    rows: list[Row | bytes] = [*rows_of(texts[:300])]
    spare = [passage for _, passage in texts[300:]]

    def plant(row: Row | bytes) -> int:
        rows.append(row)
        return len(rows)

    def row(query: str, text: str, label: int, split: str = "train") -> Row:
        return {"query": query, "text": text, "label": label, "split": split}

    first, third = rows_of(texts)[0], rows_of(texts)[2]
    long_query = "how can I find the shortest weighted path between all pairs of nodes in a graph"
    planted = {
        "repeated_pairs": [1, plant(first)],
        "conflicting_labels": [3, plant({**third, "label": 0})],
        "leaked_queries": [1, plant(row(texts[0][0].upper(), spare[0], 1, "test"))],
        "near_leaked_queries": [
            plant(row(long_query, spare[1], 1, "train")),
            plant(row(long_query.replace("a graph", "a network"), spare[2], 1, "test")),
        ],
        "empty_text": [plant(row(texts[1][0], " \n", 1))],
        "broken_json": [plant(b'{"query": "a", "text": "b", "label": 1')],
        "missing_column": [plant({"query": "a", "txet": "b", "label": 1, "split": "train"})],
        "negative_label": [plant(row(texts[1][0], spare[3], -1))],
        "constant_labels": [
            plant(row("is a planar embedding unique", spare[4], 1, "dev")),
            plant(row("which layouts draw a tree", spare[5], 1, "dev")),
        ],
        "overlong_texts": [plant(row(texts[1][0], " ".join(p for _, p in texts[:60]), 0))],
        "not_utf8": [plant(b'{"query": "a", "text": "caf\xe9", "label": 1}')],
        "queries_without_positive": [plant(row("who wrote the documentation", spare[6], 0))],
    }
    assert len(planted) == 12

    report = audit(write(tmp_path / "faulty.jsonl", rows))

    for kind, lines in planted.items():
        named = examples(report, kind).replace(",", "").replace(":", "").split()
        assert {str(line) for line in lines} <= set(named), kind
    refused = {"broken_json", "missing_column", "negative_label", "not_utf8"}
    assert kinds(report, "unusable") == refused
    assert kinds(report, "warning") == planted.keys() - refused
    assert (report.unusable, report.has_warnings) == (True, True)
    assert "txet" in examples(report, "missing_column")


@pytest.mark.slow
def test_exit_codes_and_files(
    texts: Texts,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    clean = write(tmp_path / "clean.jsonl", rows_of(texts[:300]))
    few = write(tmp_path / "few.jsonl", rows_of(texts[:30]))
    none = write(tmp_path / "none.jsonl", [{**row, "label": 0} for row in rows_of(texts[:300])])
    output = tmp_path / "out"
    for data, flags, code in (
        (clean, ["--strict"], 0),
        (few, [], 0),
        (few, ["--strict"], 1),
        (none, [], 2),
        (tmp_path / "missing.jsonl", ["--output", tmp_path / "not"], 2),
    ):
        assert run(data, "--output", output, *flags) == code
    assert not (tmp_path / "not").exists()
    captured = capsys.readouterr()
    strict, unusable, missing = captured.err.splitlines()
    assert strict.startswith(f"refused: {few}: ")
    assert unusable.startswith(f"error: {none}: ")
    assert missing == f"error: {tmp_path / 'missing.jsonl'}: no such file"
    assert "only 60 usable pairs" in captured.out

    saved = json.loads((output / "audit.json").read_text())  # of the unusable file
    assert saved["path"] == str(none)
    assert [f["kind"] for f in saved["findings"] if f["severity"] == "unusable"] == ["no_positive"]
    assert (output / "audit.html").is_file()


def test_a_folder_without_a_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    data = write(tmp_path / "a.jsonl", [{"query": "a", "text": "b", "label": 1}])
    with pytest.raises(InputError, match="holds no tokenizer"):
        audit(data, base=str(tmp_path / "empty"))


def test_pairs_without_negatives_are_no_fault(texts: Texts, tmp_path: Path) -> None:
    more = [{"anchor": query, "positive": passage} for query, passage in texts[:300]]
    report = audit(write(tmp_path / "pairs.jsonl", more))
    assert kinds(report, "unusable") == set()
    assert kinds(report, "warning") == {"few_pairs"}
    assert "no_labelled_negatives" in kinds(report, "info")

    triplets = [{**row, "negative": texts[n - 7][1]} for n, row in enumerate(more)]
    again = {**triplets[0], "negative": texts[150][1]}
    report = audit(write(tmp_path / "triplets.jsonl", [*triplets, again]))
    assert kinds(report, "unusable") | kinds(report, "warning") == set()
    assert "repeated_pairs" in kinds(report, "info")  # that is how triplets are written


def test_columns_and_corpus(texts: Texts, tmp_path: Path) -> None:
    rows = [
        {"q": q, "body": p, "label": 1, "doc_id": f"d{n}"} for n, (q, p) in enumerate(texts[:9])
    ]
    corpus = [{"_id": f"c{n}", "text": p} for n, (_, p) in enumerate(texts[8:20])]
    data = write(tmp_path / "a.jsonl", rows)
    with pytest.raises(InputError, match=r"dataset\.columns\.query="):
        audit(data)
    report = audit(
        data,
        ColumnsConfig(query="q", text="body"),
        corpus=write(tmp_path / "corpus.jsonl", corpus),
    )
    assert report.facts["passages"] == 20
    found = examples(report, "duplicate_passages")
    assert found.startswith('the corpus file and line 9: "c0" and "d8"')


def test_rows_may_leave_out_the_title_of_a_passage(tmp_path: Path) -> None:
    corpus = write(
        tmp_path / "corpus.jsonl",
        [{"_id": "d1", "title": "Lists", "text": "Sorts the list in place."}],
    )
    rows = [
        {"query": "sort a list", "text": "Sorts the list in place.", "doc_id": "d1", "label": 1},
        {
            "query": "order a list",
            "text": "Lists Sorts the list in place.",
            "doc_id": "d1",
            "label": 1,
        },
    ]
    report = audit(write(tmp_path / "rows.jsonl", rows), corpus=corpus)
    assert report.facts["passages"] == 1
    found = {finding.kind for finding in report.findings}
    assert not found & {"ambiguous_doc_id", "merged_passage", "duplicate_passages"}
