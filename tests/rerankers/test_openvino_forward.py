"""OpenVINO computes the scores of torch, from the same texts."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.config.stages import RerankConfig
from pipeline.experiment.shared import Shared
from pipeline.infra.hardware import Hardware
from pipeline.infra.model_files import prepare_base
from pipeline.infra.stage_cache import StageCache
from pipeline.protocols import Scorer
from pipeline.records import InputError
from pipeline.rerankers import load_reranker
from pipeline.rerankers.colbert import ColbertReranker
from pipeline.rerankers.cross_encoder import CrossEncoderReranker
from pipeline.rerankers.saved import load_saved
from pipeline.rerankers.served import as_served
from tests.conftest import Compose, Saved
from tests.odd_models import decoder
from tests.points import compose_config

NEAR = 1e-4
OPENVINO = RerankConfig(variant="openvino")
PASSAGES = {
    "long": "antidisestablishmentarianism, " * 100,
    "short": "Draws a graph with a layout.",
    "two": "Merges the other configuration into this one. " * 3,
    "empty": "",
}
QUERIES = {"a": "graph", "b": "merge two configurations " * 5}
PAIRS = [(query, passage) for query in QUERIES for passage in PASSAGES]


@pytest.mark.slow
def test_real_pairs_are_ranked_as_by_torch(saved: Saved, shared: Shared, machine: Hardware) -> None:
    torch, openvino = (
        load_saved("model", saved("cross_encoder"), machine, 32, rerank)
        for rerank in (RerankConfig(), OPENVINO)
    )
    queries, corpus = shared.dataset.test.queries, shared.dataset.corpus
    for query in list(queries)[:20]:
        pairs = [(query, hit.doc_id) for hit in shared.candidates["hybrid"][query]]
        expected = torch.score_pairs(queries, corpus, pairs)
        found = openvino.score_pairs(queries, corpus, pairs)
        assert found == pytest.approx(expected, abs=NEAR)
        assert (np.diff(expected[np.argsort(-found)]) < NEAR).all()


@pytest.mark.slow
@pytest.mark.parametrize("base", ["minilm_l3", "modernbert_tiny"])
@pytest.mark.parametrize("windows", [None, 16])
def test_batches_of_every_shape_score_as_by_torch(
    base: str, windows: int | None, small: Compose, machine: Hardware
) -> None:
    config = small("arch=cross_encoder", f"base={base}")
    folder = prepare_base(config.base, StageCache.of(config))
    reranker = load_reranker(folder, config.arch, machine, 3, seed=1)
    assert reranker is not None

    def scores(scorer: Scorer) -> list[float]:
        alone = [float(scorer.score_pairs(QUERIES, PASSAGES, [pair])[0]) for pair in PAIRS]
        together = scorer.score_pairs(QUERIES, PASSAGES, PAIRS)
        assert together == pytest.approx(alone, abs=NEAR)
        return alone

    plain = RerankConfig(windows=windows)
    expected = scores(as_served(reranker, plain))
    found = scores(as_served(reranker, replace(plain, variant="openvino")))
    assert found == pytest.approx(expected, abs=NEAR)
    assert len(set(found)) > len(PAIRS) / 2
    assert as_served(reranker, plain).score_pairs(QUERIES, PASSAGES, []).shape == (0,)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gpt2", "qwen2_scorer"])
def test_a_decoder_is_padded_with_its_own_token(
    kind: str, tmp_path: Path, machine: Hardware
) -> None:
    """It reads the last token that is not padding, and token 0 may be a word."""
    arch = compose_config(["arch=cross_encoder", "max_length=48"]).arch
    folder = decoder(tmp_path, kind)
    by_torch = load_reranker(folder, arch, machine, 3, seed=1)
    assert isinstance(by_torch, CrossEncoderReranker)
    assert by_torch.model.tokenizer.pad_token_id != 0
    expected = by_torch.score_pairs(QUERIES, PASSAGES, PAIRS)
    found = by_torch.by_openvino().score_pairs(QUERIES, PASSAGES, PAIRS)
    assert found == pytest.approx(expected, abs=NEAR)


@pytest.mark.slow
def test_logits_in_bf16_do_not_tie(saved: Saved, shared: Shared, machine: Hardware) -> None:
    half = replace(machine, precision="bf16")
    model = load_saved("model", saved("cross_encoder"), half, 32, OPENVINO)
    query, hits = next(iter(shared.candidates["vector"].items()))
    pairs = [(query, hit.doc_id) for hit in hits]
    texts = shared.dataset.dev.queries | shared.dataset.test.queries
    scores = model.score_pairs(texts, shared.dataset.corpus, pairs)
    assert len(set(scores.tolist())) > 0.9 * len(pairs)


@pytest.mark.slow
@pytest.mark.parametrize("expansion", ["false", "true"])
@pytest.mark.parametrize("base", ["minilm_l3", "modernbert_tiny"])
def test_queries_of_a_colbert_have_the_vectors_of_torch(
    base: str, expansion: str, small: Compose, machine: Hardware
) -> None:
    words = (f"arch.query_expansion={expansion}", "arch.query_length=21")
    config = small("arch=colbert", f"base={base}", *words)
    folder = prepare_base(config.base, StageCache.of(config))
    by_torch = load_reranker(folder, config.arch, machine, 3, seed=1)
    assert isinstance(by_torch, ColbertReranker)
    by_openvino = by_torch.by_openvino()
    texts = ["graph", "merge two configurations " * 9, "", "a layout", *QUERIES.values()]
    expected, found = (model.embed_queries(texts) for model in (by_torch, by_openvino))
    alone = [by_openvino.embed_queries([text])[0] for text in texts]
    for torch_vectors, together, single in zip(expected, found, alone, strict=True):
        for vectors in (together, single):
            assert vectors.shape == torch_vectors.shape
            assert vectors.numpy() == pytest.approx(torch_vectors.numpy(), abs=1e-5)
    if expansion == "true":
        assert {len(vectors) for vectors in found} == {21}
    stored = RerankConfig(vectors="fp16")
    plain, served = (
        as_served(by_torch, rerank).score_pairs(QUERIES, PASSAGES, PAIRS)
        for rerank in (stored, replace(stored, variant="openvino"))
    )
    assert served == pytest.approx(plain, abs=NEAR)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["arch=cross_encoder", "rerank.variant=onnx"], "rerank.variant=onnx: none of"),
        (["arch=colbert", "rerank.variant=openvino"], "rerank.variant=openvino: .*rerank.vectors"),
    ],
)
def test_what_does_not_go_together_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        config = compose_config(words)
        config.rerank.must_fit(config.arch)


def test_a_gpu_and_a_missing_package_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"rerank.variant=openvino: .*hardware.device=cpu"):
        OPENVINO.must_run("cuda")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(InputError, match=r"rerank.variant=openvino: .*make setup"):
        OPENVINO.must_run("cpu")
    RerankConfig().must_run("cuda")
