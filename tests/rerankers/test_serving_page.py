"""A caller who follows docs/serving.md gets what was evaluated."""

import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.evaluation.quality import evaluate
from pipeline.experiment.shared import prepare_shared
from pipeline.infra.hardware import Hardware
from pipeline.infra.model_files import prepare_base
from pipeline.infra.stage_cache import StageCache
from pipeline.rerankers import load_reranker
from pipeline.rerankers.lance import LanceReranker
from pipeline.rerankers.saved import load_saved
from pipeline.rerankers.scores import score_candidates
from pipeline.rerankers.served import as_served
from pipeline.retrieval.searches import Searches
from tests.conftest import Compose, Saved
from tests.points import TINY

PAGE = Path("docs/serving.md")


@pytest.mark.slow
@pytest.mark.parametrize("above", [50_000, 100], ids=["exact", "indexed"])
def test_the_page_serves_what_was_evaluated(
    above: int, small: Compose, machine: Hardware, tmp_path: Path
) -> None:
    words = [*TINY, "dataset.packages=[networkx]", "arch=colbert", "max_length=128"]
    config = small(*words, f"index.vector_index_above={above}")
    config.eval.depth = 20  # as on the page
    cache = StageCache.of(config)
    shared = prepare_shared(config, machine, cache)
    assert Searches(shared.table.table).exact == (above == 50_000)
    base = prepare_base(config.base, cache)
    reranker = load_reranker(base, config.arch, machine, 32, seed=12)
    assert reranker is not None
    reranker.save(tmp_path / "model")
    dataset, candidates = shared.dataset, shared.test_candidates()
    scores = score_candidates(reranker, dataset.test.queries, dataset.corpus, candidates)
    weights = {search: {5: 0.3, 10: 0.3} for search in candidates}
    evaluation = evaluate(candidates, dataset.test.qrels, config.eval, scores, weights)

    (snippet,) = re.findall(r"## In LanceDB\n+```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    index = cache.folder / "index" / shared.index_key
    query_id, text = next(iter(dataset.test.queries.items()))
    for said, here in (
        ("outputs/cache/index/KEY", str(index)),
        ("outputs/runs/RUN/model", str(tmp_path / "model")),
        ("HardwareConfig()", "HardwareConfig(precision='fp32')"),
        ('"how do I merge two configurations"', repr(text)),
    ):
        assert snippet.count(said) == 1
        snippet = snippet.replace(said, here)
    served: dict[str, list[dict[str, object]]] = {}
    exec(snippet, served)
    expected = evaluation.rankings["hybrid_fused", 10][query_id][:10]
    assert [row["id"] for row in served["found"]] == [hit.doc_id for hit in expected]


@pytest.mark.slow
def test_the_page_serves_by_openvino(saved: Saved, machine: Hardware) -> None:
    folder = saved("cross_encoder")
    (snippet,) = re.findall(r"## By OpenVINO\n.*?```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    served: dict[str, Any] = {"Path": Path, "load_saved": load_saved, "machine": machine}
    exec(snippet.replace("outputs/runs/RUN/model", str(folder)), served)
    asked = {"q": "graph"}, {"d": "Draws a graph."}, [("q", "d")]
    expected = load_saved("model", folder, machine, 32).score_pairs(*asked)
    assert served["model"].score_pairs(*asked) == pytest.approx(expected, abs=1e-4)


@pytest.mark.slow
def test_the_page_serves_stored_vectors(
    small: Compose, machine: Hardware, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*TINY, "arch=colbert", "base=modernbert_tiny", "rerank.vectors=int8"]
    config = small(*words, "epochs=0", "negatives=0")
    config.eval.depth = 20  # as on the page
    cache = StageCache.of(config)
    shared = prepare_shared(config, machine, cache)
    base = prepare_base(config.base, cache)
    reranker = load_reranker(base, config.arch, machine, 32, seed=12)
    assert reranker is not None
    reranker.save(tmp_path / "model")
    query_id, text = next(iter(shared.dataset.test.queries.items()))
    hits = shared.candidates["hybrid"][query_id]
    (snippet,) = re.findall(r"stored vectors\n.*?```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    served: dict[str, object] = {
        "Path": Path,
        "Searches": Searches,
        "LanceReranker": LanceReranker,
        "table": shared.table.table,
        "model": reranker,
        "text": text,
        "vector": shared.embedder.encode_queries([text])[0],
    }
    monkeypatch.chdir(tmp_path)
    exec(snippet.replace("outputs/runs/RUN/", ""), served)
    scorer = as_served(reranker, config.rerank)
    candidates = {"hybrid": {query_id: hits}}
    scores = score_candidates(scorer, {query_id: text}, shared.dataset.corpus, candidates)
    best = sorted(scores[query_id].values(), reverse=True)[:10]
    found = served["found"]
    assert isinstance(found, list)
    assert [row["_relevance_score"] for row in found] == pytest.approx(best, abs=1e-4)
