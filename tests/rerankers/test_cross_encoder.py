"""Long passages are cut before they are paired with every query; their scores stay the same."""

import pytest
import torch

from pipeline.infra.hardware import Hardware
from pipeline.infra.model_files import prepare_base
from pipeline.infra.stage_cache import StageCache
from pipeline.rerankers import load_reranker
from pipeline.rerankers.cross_encoder import CrossEncoderReranker
from tests.conftest import Compose


@pytest.mark.parametrize("base", ["modernbert_tiny", "minilm_l3"])
def test_a_long_passage_of_many_queries_scores_as_it_would_in_full(
    base: str, small: Compose
) -> None:
    config = small("arch=cross_encoder", f"base={base}", "arch.max_length=24")
    folder = prepare_base(config.base, StageCache.of(config))
    fp32 = Hardware("cpu", "fp32", 2, "test")
    reranker = load_reranker(folder, config.arch, fp32, 32, seed=1)
    assert isinstance(reranker, CrossEncoderReranker)
    passages = {
        "long": "antidisestablishmentarianism, " * 200,
        "no spaces": "https://example.org/" + "a-very-long/path_" * 200,
        "han": "重排序模型" * 100,
        "emoji": "\U0001f600\u00e9 caf\u00e9\n\n " * 100,
        "short": "Draws a graph.",
        "blank": " \n ",
        "empty": "",
    }
    queries = {"a": "graph", "b": "merge " * 8, "c": "layout of everything " * 20}
    pairs = [(query, passage) for query in queries for passage in passages]
    full = [(queries[query], passages[passage]) for query, passage in pairs]
    expected = [
        reranker.model.predict([pair], activation_fn=torch.nn.Identity())[0] for pair in full
    ]
    assert len(set(expected)) > 10
    assert reranker.score_pairs(queries, passages, pairs) == pytest.approx(expected, abs=1e-5)
