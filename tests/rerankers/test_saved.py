"""A run's model folder on a machine without this project, behind LanceDB, and its card."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

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

WITHOUT_US = """
import json, sys
sys.modules["pipeline"] = None  # importing it raises ImportError
folder, texts = sys.argv[1], json.load(sys.stdin)
"""
PLAIN = {
    "cross_encoder": WITHOUT_US
    + """
from sentence_transformers import CrossEncoder
model = CrossEncoder(folder, device="cpu")
pairs = [(texts["query"], document) for document in texts["documents"]]
scores = model.predict(pairs).tolist()
settings = {"max_length": model.max_length}
""",
    "colbert": WITHOUT_US
    + """
from pylate import models, rank
model = models.ColBERT(folder, device="cpu")
query = model.encode([texts["query"]], is_query=True)
documents = [model.encode(texts["documents"], is_query=False)]
ids = list(range(len(texts["documents"])))
found = {hit["id"]: hit["score"] for hit in rank.rerank([ids], query, documents)[0]}
scores = [float(found[i]) for i in ids]
settings = {
    "query_length": model.query_length,
    "document_length": model.document_length,
    "query_expansion": model.do_query_expansion,
}
""",
}


@pytest.mark.slow
@pytest.mark.parametrize("arch", ARCHES)
def test_the_library_alone_gives_the_same_scores(
    arch: str, trained: Callable[[str], Trained], machine: Hardware, shared: Shared, tmp_path: Path
) -> None:
    run = trained(arch)
    # Long texts too: they show whether the lengths were saved and are used.
    documents = sorted(shared.dataset.corpus.values(), key=len)
    documents = [documents[0], documents[len(documents) // 2], *documents[-3:]]
    query = "merge two configurations " * 20
    done = subprocess.run(
        [sys.executable, "-c", PLAIN[arch] + "print(json.dumps([scores, settings]))"]
        + [str(run.folder)],
        input=json.dumps({"query": query, "documents": documents}),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    theirs, settings = json.loads(done.stdout.splitlines()[-1])
    passages = {str(i): text for i, text in enumerate(documents)}
    pairs = [("q", passage) for passage in passages]
    ours = load_saved("model", run.folder, machine, 2).score_pairs({"q": query}, passages, pairs)
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
