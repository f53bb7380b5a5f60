"""Bases with a new head, saved, and loaded by their library alone."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.infra.hardware import Hardware
from pipeline.infra.model_files import prepare_base
from pipeline.infra.stage_cache import StageCache
from pipeline.rerankers import load_reranker
from tests.conftest import Compose
from tests.texts import PAIRS, PASSAGES, QUERIES

ARCHES = ("cross_encoder", "colbert")


@pytest.mark.slow
@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("base", ["modernbert_tiny", "minilm_l3"])
def test_saved_models_load_with_their_library_alone(
    arch: str, base: str, small: Compose, machine: Hardware, tmp_path: Path
) -> None:
    config = small(f"arch={arch}", f"base={base}")
    folder = prepare_base(config.base, StageCache.of(config))
    reranker = load_reranker(folder, config.arch, machine, 32, seed=1)
    assert reranker is not None
    reranker.save(tmp_path)
    assert not list(tmp_path.rglob("*.bin"))
    ours = reranker.score_pairs(QUERIES, PASSAGES, PAIRS)
    texts = [PASSAGES["a"], PASSAGES["b"]]
    if arch == "cross_encoder":
        from sentence_transformers import CrossEncoder

        pairs = [(QUERIES["q"], text) for text in texts]
        theirs = CrossEncoder(str(tmp_path)).predict(pairs)
    else:
        from pylate.models import ColBERT
        from pylate.rank import rerank

        model = ColBERT(str(tmp_path), device="cpu")
        query = model.encode([QUERIES["q"]], is_query=True)
        documents = [model.encode(texts, is_query=False)]
        ranked = {r["id"]: r["score"] for r in rerank([["a", "b"]], query, documents)[0]}
        theirs = [ranked["a"], ranked["b"]]
    assert np.allclose(ours, theirs, atol=1e-5)
