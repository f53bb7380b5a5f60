"""What is evaluated is what LanceDB serves: same model, same candidates, same order."""

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pytest

from pipeline.evaluation.quality import evaluate
from pipeline.experiment.shared import Shared, prepare_shared
from pipeline.infra.hardware import Hardware
from pipeline.infra.model_files import prepare_base
from pipeline.infra.stage_cache import StageCache
from pipeline.protocols import Scores
from pipeline.records import SEARCHES
from pipeline.rerankers import load_reranker
from pipeline.rerankers.lance import LanceReranker
from pipeline.rerankers.scores import score_candidates
from pipeline.retrieval.searches import Searches
from pipeline.retrieval.ties import tie_key
from tests.conftest import Compose
from tests.points import TINY
from tests.scorers import Constant

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
    weights = dict.fromkeys(SEARCHES, dict.fromkeys(config.eval.top_k, 0.4))
    evaluation = evaluate(candidates, qrels, config.eval, scores, weights)

    depth = config.eval.candidates
    served = LanceReranker(
        reranker,
        top_k=10,
        depth=depth,
        fusion="weighted" if fused else None,
        fusion_weight=0.4,
    )
    equal = 0
    searches = Searches(shared.table.table)
    for query_id, text in queries.items():
        vector = shared.embedder.encode_queries([text])[0]
        rows = {s: searches.reranked(s, text, vector, served) for s in SEARCHES}
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


@pytest.mark.slow
@pytest.mark.parametrize("above", [50_000, 100], ids=["exact", "indexed"])
def test_the_search_alone_equals_lancedb_at_every_cutoff(
    above: int, small: Compose, machine: Hardware
) -> None:
    """With an approximate index too, and whether a caller asks for 5 or 10 passages."""
    words = [*TINY, "dataset.packages=[networkx]", "index.hybrid_depth=30"]
    config = small(*words, f"index.vector_index_above={above}")
    shared = prepare_shared(config, machine, StageCache.of(config))
    searches = Searches(shared.table.table, config.search_depth)
    assert searches.exact == (above == 50_000)
    for query_id, text in shared.dataset.test.queries.items():
        vector = shared.embedder.encode_queries([text])[0]
        for search in SEARCHES:
            for k in (5, 10):
                served = LanceReranker(None, top_k=k, depth=k, search_depth=config.search_depth)
                found = searches.reranked(search, text, vector, served).to_arrow()
                evaluated = shared.candidates[search][query_id][:k]
                assert found["id"].to_pylist() == [hit.doc_id for hit in evaluated], (search, k)


@pytest.mark.slow
def test_hybrid_search_does_not_depend_on_the_number_of_candidates(
    small: Compose, machine: Hardware
) -> None:
    """A caller who asks for 5 gets the first 5 of what a caller who asks for 10 gets."""
    deep, shallow = small(*TINY, "eval.overfetch=4"), small(*TINY, "eval.top_k=[5]")
    lists = [prepare_shared(c, machine, StageCache.of(c)).candidates for c in (deep, shallow)]
    for search in SEARCHES:
        cut = {query_id: hits[:5] for query_id, hits in lists[0][search].items()}
        assert lists[1][search] == cut


class Listening(Constant):
    """Keeps the queries that it was given."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def score_pairs(
        self,
        queries: Mapping[str, str],
        passages: Mapping[str, str],
        pairs: Sequence[tuple[str, str]],
        progress: bool = False,
    ) -> Scores:
        self.heard += queries.values()
        return super().score_pairs(queries, passages, pairs)


@pytest.mark.slow
def test_a_query_in_quotes_reaches_the_reranker_as_it_is_written(shared: Shared) -> None:
    text, model = '"sort list"', Listening()
    vector = shared.embedder.encode_queries([text])[0]
    for search in SEARCHES:
        found = Searches(shared.table.table).reranked(search, text, vector, LanceReranker(model))
        assert found.to_arrow().num_rows > 0
    assert model.heard == [text] * len(SEARCHES)


@pytest.mark.parametrize("fusion", [None, "weighted"])
def test_a_model_that_ranks_nothing_keeps_the_order_of_the_search(fusion: str | None) -> None:
    rows = pa.table({"id": ["b", "c", "a"], "text": ["x", "y", "z"], "_distance": [0.1, 0.2, 0.3]})
    served = LanceReranker(Constant(), fusion=fusion, fusion_weight=0.5)
    assert served.rerank_vector("query", rows)["id"].to_pylist() == ["b", "c", "a"]


def test_equal_scores_of_a_search_are_in_the_order_of_the_texts() -> None:
    texts = ["x", "y", "z"]
    for ids in (["b", "c", "a"], ["a", "b", "c"]):
        rows = pa.table({"id": ids, "text": texts, "_score": [1.0, 1.0, 1.0]})
        found = LanceReranker(None).rerank_fts("query", rows)
        assert found["text"].to_pylist() == sorted(texts, key=tie_key)
