"""Scores on the command line, from words and from JSON lines."""

import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from scipy.special import expit

from pipeline.commands.score import parse
from pipeline.experiment.calibration import save
from pipeline.infra.hardware import Hardware
from pipeline.records import InputError
from pipeline.rerankers.requests import read_requests
from pipeline.rerankers.saved import load_saved
from tests.commands.conftest import code_of
from tests.conftest import Saved, Trained

QUERY = "merge two configurations"
DOCUMENTS = ["Draws a graph = with a layout.", "Merges the other config into this one."]


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """``run(*words, text=...)``: the exit code, standard output and standard error."""

    def run(*words: object, text: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        capsys.readouterr()
        return (code_of(["score", *words]), *capsys.readouterr())

    return run


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["cross_encoder", "colbert"])
def test_words_and_lines_give_the_scores_of_the_model(
    arch: str, trained: Callable[[str], Trained], machine: Hardware, run: Run
) -> None:
    folder = trained(arch).folder
    model = load_saved("model", folder, machine, 32)
    passages = dict(zip("ab", DOCUMENTS, strict=True))
    expected = model.score_pairs({"q": QUERY}, passages, [("q", "a"), ("q", "b")])
    best_first = sorted(zip(expected.tolist(), DOCUMENTS, strict=True), reverse=True)

    fp32 = "hardware.precision=fp32"
    code, printed, errors = run(f"model={folder}", fp32, QUERY, *DOCUMENTS)
    assert (code, errors) == (0, "")
    assert printed == "".join(f"{score:.4f}\t{text}\n" for score, text in best_first)

    lines = [
        {"id": 7, "query": QUERY, "documents": DOCUMENTS},
        {"query": "é", "documents": ["one"]},
    ]
    text = "\n\n".join(json.dumps(line) for line in lines)
    code, printed, errors = run(f"model={folder}", fp32, text=text)
    assert (code, errors) == (0, "")
    first, second = map(json.loads, printed.splitlines())
    assert (first["id"], first["query"]) == (7, QUERY)
    assert first["documents"] == [text for _, text in best_first]
    assert first["scores"] == pytest.approx([score for score, _ in best_first], abs=1e-5)
    assert (second["query"], len(second["scores"])) == ("é", 1)


@pytest.mark.slow
def test_probabilities_are_a_column_or_a_key_if_the_model_is_calibrated(
    saved: Saved, tmp_path: Path, run: Run
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(saved("cross_encoder"), folder)
    words = ["--probabilities", f"model={folder}", "hardware.precision=fp32"]
    code, printed, errors = run(*words, QUERY, *DOCUMENTS)
    assert (code, printed, errors.count("\n")) == (2, "", 1)
    assert "--probabilities: " in errors
    save(folder, {"slope": 2.0, "intercept": -1.0, "rerank": {}})
    code, printed, errors = run(*words, QUERY, *DOCUMENTS)
    assert (code, errors) == (0, "")
    for line in printed.splitlines():
        score, probability, document = line.split("\t")
        assert float(probability) == pytest.approx(expit(2 * float(score) - 1), abs=1e-4)
        assert document in DOCUMENTS
    text = json.dumps({"query": QUERY, "documents": DOCUMENTS})
    row = json.loads(run(*words, text=text)[1])
    assert row["probabilities"] == pytest.approx([expit(2 * score - 1) for score in row["scores"]])


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
        (["model=m", "query", "document", "output_dir=x"], "output_dir=x: a key, put it before"),
    ],
)
def test_bad_words(words: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse(words)


def test_half_a_surrogate_pair_is_named() -> None:
    with pytest.raises(InputError, match=r"^stdin:1: a text holds half of a surrogate pair"):
        read_requests(['{"query": "a", "documents": ["\\ud83d"]}'], "stdin")
    whole = '{"query": "a", "documents": ["\\ud83d\\ude00"]}'
    assert read_requests([whole], "stdin")[0]["documents"] == ["\N{GRINNING FACE}"]


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


@pytest.mark.parametrize("line", ["[" * 100_000, '{"query": %s}' % ("1" * 5000)])
def test_json_that_python_can_not_read(line: str) -> None:
    with pytest.raises(InputError, match=r"^stdin:1: not valid JSON"):
        read_requests([line], "stdin")


def test_broken_input_is_one_line_and_nothing_is_written(run: Run, elsewhere: Path) -> None:
    text = '{"query": "a", "documents": ["b"]}\n{"query": \n'
    code, printed, errors = run(f"model={elsewhere}", text=text)
    assert (code, printed, errors.count("\n")) == (2, "", 1)
    assert errors.startswith("error: stdin:2: not valid JSON")
    code, printed, errors = run(f"model={elsewhere}", "query", "document")
    assert (code, printed) == (2, "")
    assert f"model={elsewhere}" in errors
    assert list(elsewhere.iterdir()) == []
