"""What clients of each protocol get from a real server over a real model."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from pipeline.evaluation.calibration import Calibration
from pipeline.protocols import Scorer
from pipeline.rerankers.requests import scored
from pipeline.serving.app import Served
from tests.servers import rerank_server

QUERY = "merge two configurations"
DOCUMENTS = ["Draws a graph.", "Merges the other config into this one.", "Pops.", "Draws a graph."]
COHERE = {"query": QUERY, "documents": DOCUMENTS}
TEI = {"query": QUERY, "texts": DOCUMENTS}


@pytest.fixture(scope="module", params=["cross_encoder", "colbert"])
def arch(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def client(arch: str, loaded: Callable[[str], Scorer]) -> Iterator[httpx.Client]:
    served = Served(loaded(arch), "tiny", arch, "fp32", "cpu")
    with rerank_server(served) as address, httpx.Client(base_url=address, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def expected(arch: str, loaded: Callable[[str], Scorer]) -> list[tuple[str, float]]:
    """What ``python -m pipeline score`` writes: documents and scores, best first."""
    (row,) = scored(loaded(arch), [dict(COHERE)])
    return list(zip(row["documents"], row["scores"], strict=True))


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank", "/v2/rerank"])
def test_documents_are_ranked_as_by_the_command(
    path: str, client: httpx.Client, expected: list[tuple[str, float]]
) -> None:
    answer = client.post(path, json=COHERE | {"model": "theirs", "unknown": 1})
    assert answer.status_code == 200
    found = answer.json()
    assert found.keys() == {"id", "model", "results"}
    assert found["model"] == "tiny"
    results = found["results"]
    assert [r["relevance_score"] for r in results] == [score for _, score in expected]
    assert [DOCUMENTS[r["index"]] for r in results] == [text for text, _ in expected]
    twins = [r["index"] for r in results if r["index"] in (0, 3)]
    assert twins == [0, 3]  # ties by index
    assert all(r.keys() == {"index", "relevance_score"} for r in results)


def test_documents_as_objects_and_in_the_answer(client: httpx.Client) -> None:
    plain = client.post("/rerank", json=COHERE).json()["results"]
    wrapped: list[Any] = [{"text": text, "id": 7} for text in DOCUMENTS]
    wrapped[0] = DOCUMENTS[0]
    body = {"query": QUERY, "documents": wrapped, "top_n": 2, "return_documents": True}
    found = client.post("/rerank", json=body).json()["results"]
    assert [r.pop("document") for r in found] == [{"text": DOCUMENTS[r["index"]]} for r in found]
    assert found == plain[:2]
    for more in ({"top_n": None}, {"top_n": 99}, {"return_documents": None}):
        assert client.post("/rerank", json=COHERE | more).json()["results"] == plain


def test_texts_as_of_text_embeddings_inference(
    arch: str, client: httpx.Client, expected: list[tuple[str, float]]
) -> None:
    raw = [score for _, score in expected]
    found = client.post("/rerank", json=TEI | {"truncate": True, "raw_scores": True}).json()
    assert [item["score"] for item in found] == raw
    assert all(item.keys() == {"index", "score"} for item in found)
    found = client.post("/rerank", json=TEI | {"raw_scores": False, "return_text": True}).json()
    assert [item["text"] for item in found] == [text for text, _ in expected]
    wanted = [1 / (1 + math.exp(-s)) for s in raw] if arch == "cross_encoder" else raw
    assert [item["score"] for item in found] == pytest.approx(wanted)
    by_default = client.post("/rerank", json=TEI | {"return_text": True}).json()
    assert by_default == found


def test_probabilities_are_the_calibrated_scores(
    arch: str, loaded: Callable[[str], Scorer], expected: list[tuple[str, float]]
) -> None:
    raw = [score for _, score in expected]
    wanted = pytest.approx([1 / (1 + math.exp(-(1.5 * score - 0.25))) for score in raw])
    served = Served(loaded(arch), "tiny", arch, "fp32", "cpu", Calibration(1.5, -0.25))
    with rerank_server(served) as address, httpx.Client(base_url=address, timeout=60) as client:
        assert client.get("/health").json()["calibrated"] is True
        results = client.post("/rerank", json=COHERE | {"probabilities": True}).json()["results"]
        assert [r["relevance_score"] for r in results] == wanted
        assert [DOCUMENTS[r["index"]] for r in results] == [text for text, _ in expected]
        found = client.post("/rerank", json=TEI | {"raw_scores": False}).json()
        assert [item["score"] for item in found] == wanted
        # By default each form answers as its original: here scores, there probabilities.
        results = client.post("/rerank", json=COHERE).json()["results"]
        assert [r["relevance_score"] for r in results] == raw
        assert client.post("/rerank", json=TEI).json() == found
        found = client.post("/rerank", json=TEI | {"raw_scores": True}).json()
        assert [item["score"] for item in found] == raw


def test_a_model_without_calibration_refuses_probabilities(client: httpx.Client) -> None:
    answer = client.post("/rerank", json=COHERE | {"probabilities": True})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("probabilities: ")
    assert client.post("/rerank", json=COHERE | {"probabilities": False}).status_code == 200


def test_health_and_metrics(arch: str, client: httpx.Client) -> None:
    health = client.get("/health")
    assert health.status_code == 200
    assert health.json() == {
        "status": "ok",
        "model": "tiny",
        "architecture": arch,
        "precision": "fp32",
        "device": "cpu",
        "calibrated": False,
    }

    def counts() -> dict[str, float]:
        page = client.get("/metrics")
        assert page.headers["content-type"].startswith("text/plain")
        lines = [line for line in page.text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in (x.rpartition(" ") for x in lines)}

    client.post("/rerank", json=[])
    before = counts()
    client.post("/rerank", json=COHERE)
    client.post("/rerank", json=[])
    after = counts()
    for name, more in {
        'reranker_requests_total{status="200"}': 1,
        'reranker_requests_total{status="422"}': 1,
        "reranker_documents_total": 4,
        "reranker_batch_pairs_sum": 4,
        "reranker_batch_requests_count": 1,
        "reranker_queue_seconds_count": 1,
        "reranker_scoring_seconds_count": 1,
    }.items():
        assert after[name] - before.get(name, 0) == more, name


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("method", "path", "content", "headers", "status", "said"),
    [
        ("POST", "/rerank", b'{"query": ', JSON, 400, "not valid JSON"),
        ("POST", "/rerank", b"\xff", JSON, 400, "UTF-8"),
        ("POST", "/rerank", b"[" * 50_000, JSON, 400, "JSON"),
        ("POST", "/rerank", b"", JSON, 422, "JSON object"),
        ("POST", "/rerank", b"[1]", JSON, 422, "JSON object"),
        ("POST", "/rerank", b"null", JSON, 422, "JSON object"),
        ("POST", "/rerank", b'{"query": "q"}', JSON, 422, "documents is missing"),
        ("POST", "/rerank", b'{"documents": ["d"]}', JSON, 422, "query is missing"),
        ("POST", "/rerank", b'{"query": 1, "documents": ["d"]}', JSON, 422, "query: must be"),
        ("POST", "/rerank", b'{"query": "q", "documents": "d"}', JSON, 422, "documents: must be"),
        ("POST", "/rerank", b'{"query": "q", "documents": [1]}', JSON, 422, "documents.0: must"),
        ("POST", "/rerank", b'{"query": "q", "documents": [{}]}', JSON, 422, "documents.0: must"),
        ("POST", "/rerank", b'{"query": "q", "documents": []}', JSON, 422, "0 documents"),
        ("POST", "/rerank", b'{"query": "q", "texts": []}', JSON, 422, "0 documents"),
        ("POST", "/rerank", b'{"query": " ", "documents": ["d"]}', JSON, 422, "query is empty"),
        ("POST", "/rerank", b'{"query": "q", "texts": ["a", ""]}', JSON, 422, "texts.1 is empty"),
        ("POST", "/rerank", b'{"query": "\\ud800", "texts": ["a"]}', JSON, 422, "surrogate"),
        (
            "POST",
            "/rerank",
            b'{"query": "q", "documents": ["d"], "top_n": 0}',
            JSON,
            422,
            "top_n: must be",
        ),
        (
            "POST",
            "/rerank",
            b'{"query": "q", "documents": ["d"], "top_n": "1"}',
            JSON,
            422,
            "top_n: must be",
        ),
        *(
            ("POST", "/rerank", b'{"query": "q", "texts": ["a"]}', headers, 415, "application/json")
            for headers in (
                {},
                {"Content-Type": "text/json; note=application/json"},
                {"Content-Type": "application/x-json"},
            )
        ),
        ("GET", "/rerank", b"", {}, 405, "use POST"),
        ("DELETE", "/health", b"", {}, 405, "use GET"),
        ("GET", "/", b"", {}, 404, "/rerank"),
        ("POST", "/v3/rerank", b"{}", JSON, 404, "/rerank"),
        ("POST", "/rerank/", b"{}", JSON | {"Host": "evil.example"}, 404, "/rerank"),
        ("GET", "/health/", b"", {}, 404, "/health"),
    ],
)
def test_a_mistake_is_one_sentence(
    method: str,
    path: str,
    content: bytes,
    headers: dict[str, str],
    status: int,
    said: str,
    client: httpx.Client,
) -> None:
    answer = client.request(method, path, content=content, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    found = answer.json()
    assert found.keys() == {"error"}
    assert said in found["error"]
    assert "Traceback" not in answer.text and "\n" not in found["error"]


def test_too_many_documents_are_counted(client: httpx.Client) -> None:
    answer = client.post("/rerank", json={"query": "q", "texts": ["t"] * 51})
    assert answer.status_code == 422
    assert "51 documents; send 1 to 50" in answer.json()["error"]


@pytest.mark.parametrize("form", ["documents", "texts"])
def test_too_many_documents_are_counted_before_each_is_read(
    form: str, client: httpx.Client
) -> None:
    answer = client.post("/rerank", json={"query": "q", form: [""] * 51})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("51 documents; ")


def test_the_schema_names_both_forms(client: httpx.Client) -> None:
    described = client.get("/openapi.json").json()
    schemas = described["components"]["schemas"]
    assert {"documents", "top_n"} <= schemas["DocumentsRequest"]["properties"].keys()
    assert {"texts", "raw_scores"} <= schemas["TextsRequest"]["properties"].keys()
    responses = described["paths"]["/rerank"]["post"]["responses"]
    assert responses.keys() == {"200", "default"}
    error = responses["default"]["content"]["application/json"]["schema"]
    assert error == {"$ref": "#/components/schemas/Error"}
    assert schemas["Error"]["properties"].keys() == {"error"}
    assert "securitySchemes" not in described["components"]
    assert client.get("/docs").status_code == 404


@pytest.mark.parametrize("kind", ["Application/JSON; charset=utf-8", "application/vnd.x+json"])
def test_other_spellings_of_the_content_type(kind: str, client: httpx.Client) -> None:
    body = b'{"query": "q", "texts": ["a"]}'
    answer = client.post("/rerank", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 200
