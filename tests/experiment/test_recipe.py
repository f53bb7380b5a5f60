"""The fusion weights of a point are chosen on the dev queries, never on the test queries."""

from dataclasses import replace

import pytest

from pipeline.config import Config
from pipeline.evaluation.quality import FusionWeights
from pipeline.experiment import recipe
from pipeline.records import Dataset, Hit, QuerySet
from tests.points import compose_config
from tests.shared import EMPTY

DEV = QuerySet({"d": "dev"}, {"d": {"b": 1}})
TEST = QuerySet({"t": "test"}, {"t": {"a": 1}})
FOUND = {query: [Hit("a", 2.0), Hit("b", 1.0)] for query in ("d", "t")}
SCORES = {query: {"a": 0.0, "b": 1.0} for query in ("d", "t")}  # right on dev, wrong on test


def fusion_weights(config: Config, dev: QuerySet) -> FusionWeights:
    """The weights that a point with these dev queries gets; vector search is the only one."""
    corpus = {"a": "text a", "b": "text b"}
    dataset = Dataset("two", "f", corpus, corpus, QuerySet({}, {}), dev, TEST)
    shared = replace(EMPTY, dataset=dataset, candidates={"vector": FOUND})
    return recipe._evaluate(config, shared, SCORES)[1]


def test_fusion_weights_are_chosen_on_dev_queries() -> None:
    config = compose_config(["eval.top_k=[1]", "eval.overfetch=2"])
    # Both rankings are scaled to 0 and 1, so b comes first as soon as the model's share is above
    # one half. On the test query any smaller share would be best, and the smallest is 0.
    assert fusion_weights(config, DEV) == {"vector": {1: 0.6}}


def test_without_dev_queries_both_count_alike(caplog: pytest.LogCaptureFixture) -> None:
    config = compose_config(["eval.top_k=[1]", "eval.overfetch=2"])
    assert fusion_weights(config, QuerySet({}, {})) == {"vector": {1: 0.5}}
    assert "no dev queries to choose fusion weights on" in caplog.text
    ranks = compose_config(["eval.top_k=[1]", "eval.overfetch=2", "eval.fusion.method=rrf"])
    assert fusion_weights(ranks, QuerySet({}, {})) == {}  # ranks are fused without a weight
