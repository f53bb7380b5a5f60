"""A run's model folder on a machine without this project, behind LanceDB, and its card."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from huggingface_hub import ModelCard, ModelCardData

from pipeline.evaluation.metrics import means
from pipeline.experiment.shared import Shared
from pipeline.infra.hardware import Hardware
from pipeline.rerankers.lance import LanceReranker
from pipeline.rerankers.saved import load_saved, saved_arch
from tests.conftest import Trained

ARCHES = ("cross_encoder", "colbert")

QUERY = "merge two configurations " * 20
WITHOUT_US = """
import json, sys
sys.modules["pipeline"] = None  # importing it raises ImportError
texts = json.load(sys.stdin)
found = {}

from sentence_transformers import CrossEncoder
model = CrossEncoder(sys.argv[1], device="cpu")
pairs = [(texts["query"], document) for document in texts["documents"]]
scores = model.predict(pairs).tolist()
found["cross_encoder"] = scores, {"max_length": model.max_length}

from pylate import models, rank
model = models.ColBERT(sys.argv[2], device="cpu")
query = model.encode([texts["query"]], is_query=True)
documents = [model.encode(texts["documents"], is_query=False)]
ids = list(range(len(texts["documents"])))
ranked = {hit["id"]: hit["score"] for hit in rank.rerank([ids], query, documents)[0]}
scores = [float(ranked[i]) for i in ids]
found["colbert"] = scores, {
    "query_length": model.query_length,
    "document_length": model.document_length,
    "query_expansion": model.do_query_expansion,
}
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def documents(shared: Shared) -> list[str]:
    """Long texts too: they show whether the lengths were saved and are used."""
    texts = sorted(shared.dataset.corpus.values(), key=len)
    return [texts[0], texts[len(texts) // 2], *texts[-3:]]


@pytest.fixture(scope="module")
def by_library(
    trained: Callable[[str], Trained],
    documents: list[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    """Scores and settings of each saved model in one process that can't import this project."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_US, *(str(trained(arch).folder) for arch in ARCHES)],
        input=json.dumps({"query": QUERY, "documents": documents}),
        capture_output=True,
        text=True,
        cwd=tmp_path_factory.mktemp("elsewhere"),
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
@pytest.mark.parametrize("arch", ARCHES)
def test_the_library_alone_gives_the_same_scores(
    arch: str,
    trained: Callable[[str], Trained],
    by_library: dict[str, Any],
    documents: list[str],
    machine: Hardware,
) -> None:
    run = trained(arch)
    theirs, settings = by_library[arch]
    passages = {str(i): text for i, text in enumerate(documents)}
    pairs = [("q", passage) for passage in passages]
    ours = load_saved("model", run.folder, machine, 2).score_pairs({"q": QUERY}, passages, pairs)
    assert np.allclose(ours, theirs, atol=1e-5)
    for name, value in settings.items():
        assert getattr(run.config.arch, name) == value
    saved = saved_arch(run.folder)
    assert saved is not None
    for name in settings.keys() - {"query_expansion"}:
        assert getattr(saved, name) == settings[name]
    assert not list(run.folder.rglob("*.bin"))


@pytest.mark.slow
@pytest.mark.parametrize("arch", ARCHES)
def test_behind_lancedb(
    arch: str, trained: Callable[[str], Trained], machine: Hardware, shared: Shared
) -> None:
    folder = trained(arch).folder
    served = LanceReranker(load_saved("model", folder, machine, 32))
    for text in list(shared.dataset.test.queries.values())[:5]:
        vector = shared.embedder.encode_queries([text])[0]
        search = shared.table.table.search(vector, vector_column_name="vector").limit(20)
        ours = search.rerank(served, query_string=text).to_arrow().to_pylist()
        assert len(ours) == 20
        if arch == "cross_encoder":
            from lancedb.rerankers import CrossEncoderReranker

            plain = CrossEncoderReranker(str(folder), device="cpu", trust_remote_code=False)
            theirs = search.rerank(plain, query_string=text).to_arrow().to_pylist()
            # By id: passages that are equal up to the length read have no order of their own.
            logits = {row["id"]: row["_relevance_score"] for row in ours}
            assert {row["id"] for row in theirs} == logits.keys()
            for row in theirs:
                assert row["_relevance_score"] == pytest.approx(logits[row["id"]], abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("arch", ARCHES)
def test_the_card_is_valid_for_the_hub(arch: str, trained: Callable[[str], Trained]) -> None:
    from pipeline.tracking import artifacts

    run = trained(arch)
    text = (run.folder / "README.md").read_text(encoding="utf-8")
    data = ModelCard(text).data
    assert isinstance(data, ModelCardData)
    assert data.license == "apache-2.0"
    library = {"cross_encoder": "sentence-transformers", "colbert": "PyLate"}
    assert data.library_name == library[arch]
    assert data.model_name == run.config.run_name
    per_query = artifacts.read_per_query(run.config.tracking, run.run_id)
    for result, mode in zip(data.eval_results or (), ("vector", "fts", "hybrid"), strict=True):
        mean = means(per_query[f"{mode}_reranked"])["ndcg_at_10"]
        assert result.metric_value == pytest.approx(mean, abs=5e-5)
    for heading in ("Data", "Figures", "Training", "Intended use", "Limits", "Licence"):
        assert f"## {heading}\n" in text
    assert f"learning rate {run.config.train.learning_rate:g}" in text
    assert " | 0." in text and " to 0." in text
