"""Token lengths of short texts that can be counted by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoTokenizer, CanineTokenizer

from pipeline.audit.checks.lengths import findings
from pipeline.audit.counts import Counts
from pipeline.audit.facts import facts
from pipeline.audit.findings import snippet
from pipeline.audit.lengths import Lengths, histogram, percentiles
from pipeline.config.models import ColbertConfig
from pipeline.data.labelled.rows import LabelledRow
from pipeline.infra.model_files import TINY_TOKENIZER, locate
from tests.points import compose_config


def row(line: int, query: str, text: str, label: int = 1) -> LabelledRow:
    return LabelledRow(line, query, text, label, None, None, None, None)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    folder: Path = locate("base", TINY_TOKENIZER)
    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture
def lengths(tokenizer: Any) -> Lengths:
    return Lengths(tokenizer, max_length=10)


def test_lengths_and_what_lies_behind_the_cut(lengths: Lengths) -> None:
    rows = [
        row(1, "red dog", "the red dog ran home"),  # 2 + 5 + 3 special: just fits
        row(2, "red dog", "a cat and a bird and a red dog"),  # reads 5: a cat and a bird
        row(3, "red dog", "my red dog and the big black cow"),  # both words before the cut
        row(4, "red dog", "one two three four five red dog", label=0),  # no positive
        row(5, "blue dog", "a blue cat and one dog"),  # one of two behind
    ]
    counts = Counts(0.8)
    lengths.add([(r, *counts.add(r)) for r in rows[:2]])
    lengths.add([(r, *counts.add(r)) for r in rows[2:]])
    assert list(lengths.queries) == [2, 2]
    assert list(lengths.passages) == [5, 9, 8, 7, 6]
    assert lengths.pair_lengths(counts).tolist() == [10, 14, 13, 12, 11]
    assert lengths.positives == 4
    assert lengths.behind_cut.examples == [
        "line 2: only after character 17: dog, red",
        "line 5: only after character 19: dog",
    ]


def test_a_passage_seen_before_is_cut_where_the_query_says(lengths: Lengths) -> None:
    counts = Counts(0.8)
    text = "one two three red dog"
    for line, query in enumerate(("dog", "red dog with a cat and a cow"), start=1):
        r = row(line, query, text)
        lengths.add([(r, *counts.add(r))])
    # the second query has 8 tokens and 3 are special: nothing is left for the passage
    assert lengths.behind_cut.examples == ["line 2: only after character 0: dog, red"]


def test_another_spelling_of_a_passage_may_be_shorter(lengths: Lengths) -> None:
    plain = "xylophonists quarrelled"
    wide = "".join(c if c == " " else chr(ord(c) + 0xFEE0) for c in plain)  # full-width letters
    counts = Counts(0.8)
    for line, text in enumerate((plain, wide), start=1):
        r = row(line, "red dog", text)
        lengths.add([(r, *counts.add(r))])
    (longest,) = lengths.passages
    assert lengths.tokens([plain, wide]) == [longest, 2]  # a word that is not known is one token
    assert longest > 5  # which are read beside this query


def test_a_colbert_reads_query_and_passage_apart(tokenizer: Any) -> None:
    lengths = Lengths(tokenizer, max_length=8, query_length=6)
    rows = [
        row(1, "a red dog", "the red dog ran home"),  # 3 and 5 tokens, both with 3 more: they fit
        row(2, "a very red dog", "a cat and a bird and a red dog"),  # both are cut
    ]
    counts = Counts(0.8)
    lengths.add([(r, *counts.add(r)) for r in rows])
    assert lengths.pair_lengths(counts).tolist() == [8, 12]
    assert lengths.behind_cut.examples == ["line 2: only after character 17: dog, red"]
    cut, behind, queries = findings(counts, lengths)
    assert "longer than arch.document_length=8 tokens (50%)" in cut.message
    assert "arch.document_length=8" in behind.message
    assert (queries.kind, queries.severity, queries.count) == ("cut_queries", "warning", 1)
    assert "longer than arch.query_length=6 tokens (50%)" in queries.message
    assert queries.advice == "raise arch.query_length"


def test_a_cross_encoder_cuts_no_query_but_a_colbert_would(tokenizer: Any) -> None:
    reads = compose_config(["arch=colbert"]).arch
    assert isinstance(reads, ColbertConfig)
    lengths = Lengths(tokenizer, max_length=256)
    words = reads.query_length - 2  # with 3 more, one token too many
    r = row(1, "dog " * words, "the red dog")
    counts = Counts(0.8)
    lengths.add([(r, *counts.add(r))])
    (queries,) = findings(counts, lengths)
    assert (queries.kind, queries.severity, queries.count) == ("cut_queries", "info", 1)
    assert f"arch.query_length={reads.query_length}" in queries.message


def test_a_tokenizer_written_in_python_counts_but_sees_no_cut() -> None:
    lengths = Lengths(CanineTokenizer(model_max_length=16), max_length=10)
    r = row(1, "red dog", "the cat and a red dog")  # a character is a token
    counts = Counts(0.8)
    lengths.add([(r, *counts.add(r))])
    assert lengths.pair_lengths(counts).tolist() == [7 + 21 + 3]
    assert not lengths.behind_cut.count
    tokens = facts(counts, lengths)["tokens"]
    assert isinstance(tokens, dict) and tokens["positives_behind_cut_share"] is None


def test_percentiles_occur() -> None:
    assert percentiles([]) == {}
    found = percentiles([*range(1, 101)])
    assert found == {"p50": 50, "p90": 90, "p95": 95, "p99": 99, "p100": 100}


def test_the_last_bin_holds_all_longer_ones() -> None:
    found = histogram(np.array([1, 2, 30, 5000]), max_length=20)
    assert sum(found["counts"]) == 4
    assert histogram(np.array([]), 20) == {"edges": [0, 1], "counts": [0]}


def test_snippets_are_one_line_without_controls() -> None:
    assert snippet("a\n b\x1b[0m\u202e") == '"a b [0m"'
    assert len(snippet("word " * 1000)) == 62
