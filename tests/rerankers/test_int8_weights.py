"""8-bit weights: the rounding by hand, and what it changes in the scores of real models."""

from typing import Any

import numpy as np
import openvino
import pytest
from openvino import opset13

from pipeline.config.stages import RerankConfig
from pipeline.experiment.shared import Shared
from pipeline.infra.hardware import Hardware
from pipeline.rerankers.colbert import ColbertReranker
from pipeline.rerankers.int8_weights import SMALLEST, round_weights, rounded_rows
from pipeline.rerankers.saved import load_saved
from tests.conftest import Saved


def test_every_row_has_its_own_scale() -> None:
    weights = np.array([[127.0, -64.0, 0.4, 0.6], [0.0, 0.0, 0.0, 0.0], [0.5, -1.27, 0.0, 0.01]])
    scales, rounded = rounded_rows(weights.astype(np.float32))
    assert scales.ravel().tolist() == pytest.approx([1, 1, 0.01])
    assert rounded.dtype == np.int8
    assert rounded.tolist() == [[127, -64, 0, 1], [0, 0, 0, 0], [50, -127, 0, 1]]


@pytest.mark.parametrize("transposed", [True, False])
def test_only_large_constant_matrices_are_rounded(transposed: bool) -> None:
    random = np.random.default_rng(1)
    large = random.normal(size=(SMALLEST, 32)).astype(np.float32)
    small = random.normal(size=(SMALLEST - 1, SMALLEST)).astype(np.float32)

    def product(left: Any, weights: np.ndarray) -> Any:
        matrix = opset13.constant(weights if transposed else weights.T.copy())
        return opset13.matmul(left, matrix, False, transposed).output(0)

    given = opset13.parameter([1, 32], np.float32)
    result = product(product(given.output(0), large), small)
    model = round_weights(openvino.Model([result], [given], "two layers"))
    constants = [node for node in model.get_ordered_ops() if node.get_type_name() == "Constant"]
    kinds = sorted(str(node.get_element_type().to_string()) for node in constants)
    assert kinds == [
        "f32",
        "f32",
        "i8",
    ]  # the small matrix, and the scales and integers of the large
    (integers,) = (node.data for node in constants if "i8" in node.get_element_type().to_string())
    expected = rounded_rows(large)[1]
    assert (integers == (expected if transposed else expected.T)).all()


@pytest.mark.slow
def test_a_logit_is_rounded_whatever_else_is_in_its_batch(
    saved: Saved, shared: Shared, machine: Hardware
) -> None:
    exact, rounded = (
        load_saved("model", saved("cross_encoder"), machine, 32, RerankConfig(variant=variant))
        for variant in ("torch", "openvino_int8")
    )
    queries, corpus = shared.dataset.test.queries, shared.dataset.corpus
    query, hits = next(iter(shared.candidates["hybrid"].items()))
    texts = shared.dataset.dev.queries | queries
    pairs = [(query, hit.doc_id) for hit in hits]
    found = rounded.score_pairs(texts, corpus, pairs)
    alone = [float(rounded.score_pairs(texts, corpus, [pair])[0]) for pair in pairs]
    assert found == pytest.approx(alone, abs=1e-4)
    differences = np.abs(found - exact.score_pairs(texts, corpus, pairs))
    assert 1e-4 < differences.max() < 0.1


@pytest.mark.slow
def test_a_colberts_queries_keep_their_direction(saved: Saved, machine: Hardware) -> None:
    reranker = load_saved("model", saved("colbert"), machine, 32)
    assert isinstance(reranker, ColbertReranker)
    texts = ["graph", "merge two configurations", "draws a graph with a layout"]
    exact = reranker.embed_queries(texts)
    rounded = reranker.by_openvino(int8=True).embed_queries(texts)
    for vectors, others in zip(exact, rounded, strict=True):
        cosines = (vectors * others).sum(dim=1)
        assert cosines.min() > 0.97
        assert cosines.min() < 0.999999  # it is rounded
