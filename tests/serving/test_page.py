"""The snippet of docs/serving.md is answered by a real server."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.serving.app import Served
from tests.servers import rerank_server

PAGE = Path("docs/serving.md")
ADDRESS = "http://127.0.0.1:8080"


@pytest.fixture
def guarded(served: Served) -> Iterator[str]:
    with rerank_server(served, token="TOKEN") as address:
        yield address


def test_the_page_asks_over_http(guarded: str, capsys: pytest.CaptureFixture[str]) -> None:
    (snippet,) = re.findall(r"## Over HTTP\n.*?```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert snippet.count(ADDRESS) == 1
    found: dict[str, object] = {}
    exec(snippet.replace(ADDRESS, guarded), found)
    best, request = found["best"], found["request"]
    assert isinstance(best, dict) and isinstance(request, dict)
    assert best["document"]["text"] == request["documents"][best["index"]]
    assert f"{best['index']} {best['relevance_score']} " in capsys.readouterr().out


def test_the_page_states_the_defaults() -> None:
    from pipeline.commands.serve import parser
    from pipeline.rerankers.batching import BATCHES

    page = PAGE.read_text()
    for option in ("max_documents", "max_body", "timeout", "max_waiting"):
        default = parser().get_default(option)
        row = rf"\| `--{option.replace('_', '-')}`: [^|]*\| {default} \|"
        assert re.search(row, page), option
    assert f"{BATCHES} x `eval.batch_size`" in page
