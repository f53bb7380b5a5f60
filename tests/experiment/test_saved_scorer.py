"""Stages that are made from the scores of another reranker: filtered negatives."""

import json
from collections.abc import Callable

import pytest

from pipeline.experiment.fingerprint import fingerprints
from pipeline.experiment.shared import Shared, prepare_shared
from pipeline.infra.hardware import Hardware
from pipeline.infra.model_files import content_hash
from pipeline.infra.stage_cache import StageCache
from pipeline.rerankers.saved import load_saved
from pipeline.training.passage_scores import score_passages
from pipeline.training.training_set import TrainingSet
from tests.conftest import Compose, Trained


@pytest.mark.slow
def test_negatives_filtered_by_a_run_score_no_more_than_the_positive(
    small: Compose, shared: Shared, machine: Hardware, trained: Callable[[str], Trained]
) -> None:
    run = trained("colbert")
    config = small(f"mining.filter=run:{run.run_id}", "mining.depth=2")
    filtered = prepare_shared(config, machine, StageCache.of(config)).negatives
    assert filtered is not None
    inputs = json.loads((filtered / "inputs.json").read_text())
    assert inputs["filter"]["model"] == content_hash(run.folder)
    assert "run:" not in json.dumps(inputs)  # its content, not its name
    assert fingerprints([config]) != fingerprints([small("mining.depth=2")])

    rows = list(TrainingSet(filtered, shared.dataset, 2))
    assert len(rows) > 10
    asked = {row.query_id: [row.positive_id, *row.negative_ids] for row in rows}
    scorer = load_saved("mining.filter", run.folder, machine, config.eval.batch_size)
    scores = score_passages(scorer, shared.dataset, asked)
    for query_id, (positive, *negatives) in asked.items():
        of_query = scores[query_id]
        assert max(of_query[name] for name in negatives) <= of_query[positive] + 1e-4
