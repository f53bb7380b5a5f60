"""What is evaluated is what LanceDB serves: same model, same candidates, same order."""

import pytest

from pipeline.evaluation.quality import evaluate
from pipeline.experiment.shared import Shared
from pipeline.infra.hardware import Hardware
from pipeline.infra.model_files import prepare_base
from pipeline.infra.stage_cache import StageCache
from pipeline.records import SEARCHES
from pipeline.rerankers import load_reranker
from pipeline.rerankers.lance import LanceReranker
from pipeline.rerankers.scores import score_candidates
from pipeline.retrieval.index import TIE_FACTOR
from tests.conftest import Compose

QUERIES = 12


@pytest.mark.slow
@pytest.mark.parametrize("fused", [False, True], ids=["reranked", "fused"])
@pytest.mark.parametrize("arch", ["cross_encoder", "colbert"])
def test_ranking_equals_lancedb(
    arch: str, fused: bool, shared: Shared, small: Compose, machine: Hardware
) -> None:
    config = small(f"arch={arch}", "base=modernbert_tiny")
    base = prepare_base(config.base, StageCache.of(config))
    reranker = load_reranker(base, config.arch, machine, 32, seed=12)
    assert reranker is not None
    queries = dict(list(shared.dataset.test.queries.items())[:QUERIES])
    assert len(queries) == QUERIES
    qrels = {q: shared.dataset.test.qrels[q] for q in queries}
    candidates = {m: {q: shared.candidates[m][q] for q in queries} for m in SEARCHES}
    scores = score_candidates(reranker, queries, shared.dataset.corpus, candidates)
    evaluation = evaluate(candidates, qrels, config.eval, scores, dict.fromkeys(SEARCHES, 0.4))

    depth = config.eval.candidates
    served = LanceReranker(
        reranker,
        top_k=10,
        depth=depth,
        fusion="weighted" if fused else None,
        fusion_weight=0.4,
    )
    equal = 0
    table, fetch = shared.table.table, TIE_FACTOR * depth
    for query_id, text in queries.items():
        vector = shared.embedder.encode_queries([text])[0]
        rows = {
            "vector": table.search(vector, vector_column_name="vector")
            .distance_type("cosine")
            .limit(fetch)
            .rerank(served, query_string=text),
            "fts": table.search(text, query_type="fts").limit(fetch).rerank(served),
            "hybrid": table.search(query_type="hybrid")
            .vector(vector)
            .text(text)
            .distance_type("cosine")
            .limit(fetch)
            .rerank(served),
        }
        for search, query in rows.items():
            column = f"{search}_fused" if fused else f"{search}_reranked"
            hits = evaluation.rankings[column, 10][query_id]
            ours = [hit.doc_id for hit in hits[:10]]
            found = query.to_arrow()["id"].to_pylist()
            if found == ours:
                equal += 1
                continue
            # An untrained model's scores nearly tie, and the last bits depend on the batch's size.
            of_model, expected = [scores[query_id][hit.doc_id] for hit in hits], dict(hits)
            near = 1e-6 / (max(of_model) - min(of_model)) if fused else 1e-6
            assert len(set(found)) == len(ours), (search, query_id)
            assert [expected[doc_id] for doc_id in found] == pytest.approx(
                [hit.score for hit in hits[:10]], rel=0, abs=near
            ), (search, query_id)
    assert equal > len(SEARCHES) * QUERIES / 2  # else the model tells nothing apart
