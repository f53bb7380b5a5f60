"""Scores on the command line, from words and from JSON lines."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.commands.score import parse, read_requests
from pipeline.infra.hardware import Hardware
from pipeline.records import InputError
from pipeline.rerankers.saved import load_saved
from tests.conftest import Trained

QUERY = "merge two configurations"
DOCUMENTS = ["Draws a graph = with a layout.", "Merges the other config into this one."]


def command(*words: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline", "score", *words],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("arch", ["cross_encoder", "colbert"])
def test_words_and_lines_give_the_scores_of_the_model(
    arch: str, trained: Callable[[str], Trained], machine: Hardware
) -> None:
    folder = trained(arch).folder
    model = load_saved("model", folder, machine, 32)
    passages = dict(zip("ab", DOCUMENTS, strict=True))
    expected = model.score_pairs({"q": QUERY}, passages, [("q", "a"), ("q", "b")])
    best_first = sorted(zip(expected.tolist(), DOCUMENTS, strict=True), reverse=True)

    fp32 = "hardware.precision=fp32"
    done = command(f"model={folder}", fp32, QUERY, *DOCUMENTS)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "".join(f"{score:.4f}\t{text}\n" for score, text in best_first)

    lines = [
        {"id": 7, "query": QUERY, "documents": DOCUMENTS},
        {"query": "é", "documents": ["one"]},
    ]
    text = "\n\n".join(json.dumps(line) for line in lines)
    done = command(f"model={folder}", fp32, text=text)
    assert (done.returncode, done.stderr) == (0, "")
    first, second = map(json.loads, done.stdout.splitlines())
    assert (first["id"], first["query"]) == (7, QUERY)
    assert first["documents"] == [text for _, text in best_first]
    assert first["scores"] == pytest.approx([score for score, _ in best_first], abs=1e-5)
    assert (second["query"], len(second["scores"])) == ("é", 1)


def test_texts_may_look_like_overrides() -> None:
    words = ["model=m", "hardware.device=cpu", "x=1", "model=2", "hardware.y=3"]
    assert parse(words) == ("m", ["hardware.device=cpu"], ["x=1", "model=2", "hardware.y=3"])
    assert parse(["model=run:a=b"]) == ("run:a=b", [], [])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "model=REF is missing"),
        (["query", "document"], "model=REF is missing"),
        (["model=m", "query"], "a query needs at least one document"),
        (["model=m", "query", " "], "an empty text"),
    ],
)
def test_bad_words(words: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse(words)


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        '{"query": "a"}',
        '{"query": "a", "documents": []}',
        '{"query": "a", "documents": "b"}',
        '{"query": "a", "documents": ["b", 1]}',
        '{"query": " ", "documents": ["b"]}',
    ],
)
def test_a_bad_line_is_named(line: str) -> None:
    with pytest.raises(InputError, match=r'^stdin:3: must be {"query": '):
        read_requests(['{"query": "a", "documents": ["b"]}', "", line], "stdin")


def test_broken_input_is_one_line_and_nothing_is_written(tmp_path: Path) -> None:
    text = '{"query": "a", "documents": ["b"]}\n{"query": \n'
    done = command(f"model={tmp_path}", text=text)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: stdin:2: not valid JSON")
    assert len(done.stderr.splitlines()) == 1
    done = command(f"model={tmp_path}", "query", "document")
    assert (done.returncode, done.stdout) == (2, "")
    assert "holds no cross-encoder with one label and no ColBERT" in done.stderr
