"""The saved audit: figures of the file, nothing of it run, nothing loaded from elsewhere."""

import json
from pathlib import Path

from pipeline.audit import audit
from pipeline.audit.page import save
from pipeline.audit.summary import size
from tests.audit.conftest import rows_of, write
from tests.pages import Page


def test_page_and_json_show_the_figures(texts: list[tuple[str, str]], tmp_path: Path) -> None:
    save(audit(write(tmp_path / "few.jsonl", rows_of(texts[:30]))), tmp_path / "out")
    saved = json.loads((tmp_path / "out" / "audit.json").read_text())
    page = Page((tmp_path / "out" / "audit.html").read_text())
    page.check()
    assert page.table("rows with label")[1:] == [
        ["test", "10", "10"],
        ["train", "20", "20"],
        ["all", "30", "30"],
    ]
    for finding in saved["findings"]:
        assert finding["message"] in page.text
    captions = [image["aria-label"] for image in page.all("svg")]
    assert [caption.split(":")[0] for caption in captions if caption] == [
        "Rows per label",
        "Queries by relevant passages",
        "Lengths of pairs",
    ]
    # Two labels, queries with one relevant passage, and the bins of the lengths.
    bars = page.all("rect")
    assert len(bars) == 2 + 1 + len(saved["facts"]["tokens"]["histogram"]["counts"])
    assert [bar["height"] for bar in bars[:3]] == ["160.0"] * 3
    assert len(page.all("path")) == 3 + 1  # an axis each, and max_length


def test_texts_of_the_file_are_escaped(tmp_path: Path) -> None:
    bad = '<script>alert("x")</script> \x1b[31m'
    path = tmp_path / "<b>.jsonl"
    row = {"query": bad, "text": bad, "label": 0, "query_id": bad, "split": bad, bad: 1}
    write(path, [row, row, {bad: 1}])
    save(audit(path), tmp_path)
    page = (tmp_path / "audit.html").read_text()
    assert "<script" not in page and "&lt;script&gt;" in page
    assert "<b>" not in page
    assert "\x1b" not in page


def test_a_file_without_usable_rows(tmp_path: Path) -> None:
    row = {"query": "a", "text": "", "label": 1}
    save(audit(write(tmp_path / "none.jsonl", [row])), tmp_path)
    page = Page((tmp_path / "audit.html").read_text())
    page.check()
    assert not page.all("svg")
    assert "no_pairs" in (tmp_path / "audit.json").read_text()


def test_one_of_a_kind_is_singular(tmp_path: Path) -> None:
    report = audit(write(tmp_path / "one.jsonl", [{"query": "a b", "text": "c d", "label": 1}]))
    assert size(report) == "1 pair of 1 query and 1 passage, from 1 usable of 1 row"
    assert any(finding.message.startswith("only 1 usable pair,") for finding in report.findings)
