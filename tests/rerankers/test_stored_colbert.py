"""A ColBERT with stored token vectors scores as one that encodes the passages for each query."""

from pathlib import Path
from typing import cast

import httpx
import numpy as np
import pytest
import torch
from pylate.scores import colbert_scores
from torch.nn.functional import normalize

from pipeline.config.stages import RerankConfig
from pipeline.experiment import token_vectors
from pipeline.experiment.shared import Shared
from pipeline.experiment.start import Start
from pipeline.infra.hardware import Hardware
from pipeline.infra.model_files import prepare_base
from pipeline.infra.stage_cache import StageCache
from pipeline.protocols import Reranker
from pipeline.records import SEARCHES, InputError
from pipeline.rerankers import load_reranker
from pipeline.rerankers.colbert import ColbertReranker
from pipeline.rerankers.lance import LanceReranker
from pipeline.rerankers.maxsim import maxsim
from pipeline.rerankers.scores import score_candidates
from pipeline.rerankers.served import as_served
from pipeline.rerankers.stored_colbert import StoredColbert
from pipeline.rerankers.token_codec import TokenCodec
from pipeline.rerankers.token_table import TokenTable
from pipeline.retrieval.searches import Searches
from pipeline.serving.app import Served
from tests.conftest import Compose
from tests.points import compose_config
from tests.servers import rerank_server
from tests.token_embedders import Drawn

STORED = [
    RerankConfig(vectors="fp16"),
    RerankConfig(vectors="int8"),
    RerankConfig(vectors="binary", token_pooling=3),
]
PASSAGES = {
    "a": "Sort the list in place, in ascending order.",
    "b": "Return a copy of the list.",
    "c": "Raise ValueError if the value is not there.",
}
QUERIES = {"q": "how to sort a list", "p": "copy"}
PAIRS = [("q", "a"), ("q", "b"), ("p", "b"), ("p", "c"), ("q", "c")]


@pytest.fixture(scope="module")
def colbert(small: Compose, machine: Hardware) -> ColbertReranker:
    """An untrained one."""
    config = small("arch=colbert", "base=modernbert_tiny")
    base = prepare_base(config.base, StageCache.of(config))
    reranker = load_reranker(base, config.arch, machine, 32, seed=12)
    assert isinstance(reranker, ColbertReranker)
    return reranker


def test_maxsim_is_that_of_pylate() -> None:
    random = torch.Generator().manual_seed(0)
    query = torch.randn(4, 8, generator=random)
    documents = [torch.randn(tokens, 8, generator=random) for tokens in (3, 1, 5)]
    theirs = [float(colbert_scores(query[None], d[None])[0, 0]) for d in documents]
    assert maxsim(query, documents) == pytest.approx(theirs, abs=1e-5)


@pytest.mark.parametrize("prompt", [None, "search: "])
@pytest.mark.parametrize("expansion", [True, False])
def test_queries_are_embedded_bit_by_bit_as_pylate_does(
    expansion: bool, prompt: str | None, colbert: ColbertReranker, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = colbert.model
    monkeypatch.setattr(colbert, "_batch_size", 2)
    monkeypatch.setattr(model, "do_query_expansion", expansion)
    if prompt is not None:
        monkeypatch.setitem(model.prompts, "own", prompt)
        monkeypatch.setattr(model, "default_prompt_name", "own")
    texts = ["sort", "merge two configurations into one", "draw a graph"]
    expected = model.encode(
        texts,
        is_query=True,
        batch_size=2,
        convert_to_tensor=True,
        convert_to_numpy=False,
        normalize_embeddings=False,
        show_progress_bar=False,
    )
    model.train()
    for ours, theirs in zip(colbert.embed_queries(texts), expected, strict=True):
        assert torch.equal(ours, normalize(theirs.float(), dim=1))


@pytest.mark.parametrize("config", STORED, ids=lambda config: config.vectors)
def test_a_stored_passage_scores_as_one_encoded_now(
    config: RerankConfig, colbert: ColbertReranker, tmp_path: Path
) -> None:
    now = StoredColbert(colbert, config)
    table = TokenTable(tmp_path, TokenCodec(config.vectors, colbert.token_size), {})
    table.add(
        {"a": PASSAGES["a"], "b": "an earlier text"},
        lambda ids: now.vectors([PASSAGES[i] for i in ids]),
    )
    stored = StoredColbert(colbert, config, table)
    expected = now.score_pairs(QUERIES, PASSAGES, PAIRS)
    assert stored.score_pairs(QUERIES, PASSAGES, PAIRS) == pytest.approx(expected, abs=1e-5)
    exact = colbert.score_pairs(QUERIES, PASSAGES, PAIRS)
    assert np.abs(expected - exact).max() < {"fp16": 0.01, "int8": 0.1, "binary": 9}[config.vectors]
    assert stored.score_pairs(QUERIES, PASSAGES, []).shape == (0,)


def test_the_server_encodes_a_document_once() -> None:
    drawn = Drawn()
    scorer = as_served(cast(Reranker, drawn), RerankConfig(vectors="int8"))
    first, second = ({"query": "sort", "texts": [text, "copy"]} for text in ("list", "tuple"))
    with rerank_server(Served(scorer, "drawn", "colbert", "fp32", "cpu")) as address:
        answers = [httpx.post(f"{address}/rerank", json=r).json() for r in (first, first, second)]
    assert drawn.encoded == ["list", "copy", "tuple"]
    assert answers[0] == answers[1] != answers[2]


def test_tokens_are_pooled_as_pylate_pools_them(colbert: ColbertReranker) -> None:
    random = torch.Generator().manual_seed(0)
    passages = [normalize(torch.randn(n, 16, generator=random)) for n in (12, 2, 1)]
    theirs = colbert.model.pool_embeddings_hierarchical(passages, 3)
    for ours, other in zip(colbert.pool(passages, 3), theirs, strict=True):
        assert ours.numpy() == pytest.approx(other.numpy(), abs=1e-6)


def test_equal_tokens_can_be_pooled(colbert: ColbertReranker) -> None:
    """PyLate refuses a cosine above 1, which rounding can give."""
    rounded = torch.full((5, 16), 0.25).half().float() * 1.0001
    (pooled,) = colbert.pool([rounded], 2)
    assert pooled.numpy() == pytest.approx(rounded[: len(pooled)].numpy())


@pytest.mark.slow
@pytest.mark.parametrize("config", STORED, ids=lambda config: config.vectors)
def test_lancedb_serves_what_is_evaluated(
    config: RerankConfig,
    colbert: ColbertReranker,
    shared: Shared,
    small: Compose,
    machine: Hardware,
) -> None:
    point = small("arch=colbert", "base=modernbert_tiny", "epochs=0", "negatives=0")
    point.rerank = config
    start = Start.of(point, StageCache.of(point), shared)
    scorer, costs = token_vectors.served(start, colbert, start.base)
    assert costs["vectors/mb_per_1000_passages"] > 0
    queries = dict(list(shared.dataset.test.queries.items())[:6])
    candidates = {m: {q: shared.candidates[m][q][:20] for q in queries} for m in SEARCHES}
    scores = score_candidates(scorer, queries, shared.dataset.corpus, candidates)
    now = score_candidates(as_served(colbert, config), queries, shared.dataset.corpus, candidates)
    for query_id in queries:
        assert scores[query_id] == pytest.approx(now[query_id], abs=1e-4)
    served = LanceReranker(scorer, top_k=10, depth=20)
    for query_id, text in queries.items():
        vector = shared.embedder.encode_queries([text])[0]
        for search in SEARCHES:
            rows = Searches(shared.table.table).reranked(search, text, vector, served).to_arrow()
            found = [scores[query_id][doc_id] for doc_id in rows["id"].to_pylist()]
            best = sorted(scores[query_id][hit.doc_id] for hit in candidates[search][query_id])
            assert found == pytest.approx(best[::-1][:10], abs=1e-4), (search, query_id)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rerank.vectors=int4"], "rerank.vectors=int4: none of"),
        (["rerank.token_pooling=2"], "rerank.token_pooling=2: needs stored vectors"),
        (["rerank.vectors=fp16", "rerank.windows=32"], "rerank.vectors=fp16: can't be combined"),
    ],
)
def test_what_does_not_go_together_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        compose_config(["arch=colbert", *words])


def test_a_cross_encoder_has_no_token_vectors() -> None:
    config = compose_config(["arch=cross_encoder", "rerank.vectors=fp16"])
    with pytest.raises(InputError, match=r"rerank.vectors=fp16: only a ColBERT"):
        config.rerank.must_fit(config.arch)
