"""The model card says what the weights are: trained, or those of the base."""

from collections.abc import Mapping
from dataclasses import replace

from pipeline.records import Dataset, QuerySet
from pipeline.tracking.model_card import render
from tests.points import compose_config

CORPUS = {"a": "first", "b": "second"}
TEST = QuerySet({"q": "query", "r": "other"}, {"q": {"a": 1}, "r": {"b": 1}})
DATASET = Dataset("tiny", "f" * 64, CORPUS, CORPUS, QuerySet({}, {}), QuerySet({}, {}), TEST)
VALUES = {"q": 1.0, "r": 0.5}
COSTS = {"train/pairs_seen": 96.0, "train/steps": 6.0, "train/seconds": 5.0}


def card(costs: Mapping[str, float], dataset: Dataset = DATASET) -> str:
    per_query = {"vector": {"ndcg_at_10": VALUES, "hit_rate_at_10": VALUES}}
    return render(compose_config(["base=ms_marco_minilm"]), dataset, per_query, costs, "mit")


def test_a_trained_model() -> None:
    text = card(COSTS)
    assert "(finetuned)" in text
    assert "Trained on 96 pairs (1 negatives a query) in 6 steps and 5 s" in text
    better = {"train/dev_before": 0.5, "train/dev_after": 0.6}
    assert card(COSTS | better) == text


def test_a_start_that_was_kept_is_not_called_trained() -> None:
    text = card(COSTS | {"train/dev_before": 0.6, "train/dev_after": 0.4})
    assert "(start kept)" in text
    undone = "Training did not raise the dev NDCG (before 0.6000, after 0.4000) and was undone."
    assert f"weights of the base, unchanged. {undone}" in text
    same = card(COSTS | {"train/dev_before": 0.5, "train/dev_after": 0.5})
    assert "(start kept)" in same
    assert "finetuned" not in text and "Trained on" not in text


def test_shared_passages_are_counted() -> None:
    assert "No relevant passage of a test query is relevant in training." in card(COSTS)
    shared = replace(DATASET, trained_passage=frozenset({"q"}))
    assert "Of 1 test queries a relevant passage is relevant in training" in card(COSTS, shared)
