"""The snippets of docs/serving.md are answered by a real server."""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.protocols import Scores
from pipeline.serving.app import Served
from tests.scorers import Watched
from tests.servers import rerank_server

PAGE = Path("docs/serving.md")
ADDRESS = "http://127.0.0.1:8080"


@pytest.fixture
def guarded(served: Served) -> Iterator[str]:
    with rerank_server(served, token="TOKEN") as address:
        yield address


def ask(server: str, client: str) -> dict[str, Any]:
    """Run the snippet that imports ``client`` against ``server``; return its variables."""
    _, section = PAGE.read_text().split("## Over HTTP\n")
    snippets = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    (snippet,) = (text for text in snippets if f"import {client}\n" in text)
    assert snippet.count(ADDRESS) == 1
    found: dict[str, Any] = {}
    exec(snippet.replace(ADDRESS, server), found)
    return found


def score(watched: Watched, passages: list[str]) -> Scores:
    texts = dict(zip("abcdef", passages, strict=False))
    pairs = [("", name) for name in texts]
    return watched.model.score_pairs({"": "merge two configurations"}, texts, pairs)


def test_the_page_asks_over_http(guarded: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = ask(guarded, "httpx")
    best, request = found["best"], found["request"]
    assert isinstance(best, dict) and isinstance(request, dict)
    assert best["document"]["text"] == request["documents"][best["index"]]
    assert f"{best['index']} {best['relevance_score']} " in capsys.readouterr().out


def test_the_page_asks_by_langchain(
    guarded: str, watched: Watched, capsys: pytest.CaptureFixture[str]
) -> None:
    found = ask(guarded, "CohereRerank")
    scores = score(watched, found["passages"])
    best = found["best"]
    assert best.page_content == found["passages"][scores.argmax()]
    assert best.metadata["relevance_score"] == pytest.approx(scores.max())
    assert capsys.readouterr().out.endswith(f"{best.page_content}\n")


def test_the_page_asks_by_the_package_rerankers(
    guarded: str, watched: Watched, capsys: pytest.CaptureFixture[str]
) -> None:
    found = ask(guarded, "Reranker")
    scores = score(watched, found["passages"])
    best = found["best"]
    assert best.text == found["passages"][scores.argmax()]
    assert best.score == pytest.approx(1 / (1 + math.exp(-scores.max())))  # asks for no raw scores
    assert capsys.readouterr().out.endswith(f"{best.score} {best.text}\n")


def test_the_page_states_the_defaults() -> None:
    from pipeline.commands.serve import parser
    from pipeline.rerankers.batching import BATCHES

    page = PAGE.read_text()
    for option in ("max_documents", "max_body", "timeout", "max_waiting"):
        default = parser().get_default(option)
        row = rf"\| `--{option.replace('_', '-')}`: [^|]*\| {default} \|"
        assert re.search(row, page), option
    assert f"{BATCHES} x `eval.batch_size`" in page
