"""Long passages are cut before they are paired with every query; their scores stay the same."""

import pytest
import torch

from pipeline.infra.hardware import Hardware
from pipeline.infra.model_files import prepare_base
from pipeline.infra.stage_cache import StageCache
from pipeline.rerankers import load_reranker
from pipeline.rerankers.colbert import ColbertReranker
from pipeline.rerankers.cross_encoder import CrossEncoderReranker
from tests.conftest import Compose

PASSAGES = {
    "long": "antidisestablishmentarianism, " * 200,
    "no spaces": "https://example.org/" + "a-very-long/path_" * 200,
    "han": "重排序模型" * 100,
    "emoji": "\U0001f600\u00e9 caf\u00e9\n\n " * 100,
    "short": "Draws a graph.",
    "blank": " \n ",
    "empty": "",
    "marks": "\u200b \u0301 \u2028 " * 200 + "graph " * 50,
    "ruler": "-" * 5000 + " graph",
}


@pytest.mark.slow
@pytest.mark.parametrize("base", ["modernbert_tiny", "minilm_l3"])
def test_a_long_passage_of_many_queries_scores_as_it_would_in_full(
    base: str, small: Compose
) -> None:
    config = small("arch=cross_encoder", f"base={base}", "arch.max_length=24")
    folder = prepare_base(config.base, StageCache.of(config))
    fp32 = Hardware("cpu", "fp32", 2, "test")
    reranker = load_reranker(folder, config.arch, fp32, 32, seed=1)
    assert isinstance(reranker, CrossEncoderReranker)
    queries = {"a": "graph", "b": "merge " * 8, "c": "layout of everything " * 20}
    pairs = [(query, passage) for query in queries for passage in PASSAGES]
    full = [(queries[query], PASSAGES[passage]) for query, passage in pairs]
    expected = [
        reranker.model.predict([pair], activation_fn=torch.nn.Identity())[0] for pair in full
    ]
    assert len(set(expected)) > 10
    assert reranker.score_pairs(queries, PASSAGES, pairs) == pytest.approx(expected, abs=1e-5)
    served = [
        reranker.score_pairs(queries, PASSAGES, pairs[i : i + 1])[0] for i in range(len(pairs))
    ]
    assert served == pytest.approx(expected, abs=1e-5)
    assert len(reranker._short({"": "graph"}, PASSAGES)["long"]) < len(PASSAGES["long"]) / 4


@pytest.mark.slow
def test_a_colbert_embeds_the_first_words_as_those_of_the_whole(small: Compose) -> None:
    config = small("arch=colbert", "base=minilm_l3", "arch.document_length=24")
    folder = prepare_base(config.base, StageCache.of(config))
    reranker = load_reranker(folder, config.arch, Hardware("cpu", "fp32", 2, "test"), 32, seed=1)
    assert isinstance(reranker, ColbertReranker)
    queries = {"a": "graph"}
    pairs = [("a", passage) for passage in PASSAGES]
    (query,) = reranker.model.encode(["graph"], is_query=True, convert_to_tensor=True)
    for pair, score in zip(pairs, reranker.score_pairs(queries, PASSAGES, pairs), strict=True):
        (full,) = reranker.model.encode([PASSAGES[pair[1]]], is_query=False, convert_to_tensor=True)
        assert (query @ full.T).max(dim=1).values.sum().item() == pytest.approx(score, abs=1e-4)
