"""A run is calibrated on its dev queries alone, and its model carries the calibration along."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pipeline.commands.serve import load
from pipeline.config.stages import RerankConfig
from pipeline.evaluation.calibration import Calibration, Uncalibrated, fit, judged
from pipeline.experiment.calibration import calibrate, read, save
from pipeline.experiment.shared import Shared
from pipeline.infra.model_files import CALIBRATION, content_hash
from pipeline.infra.stage_cache import StageCache
from pipeline.records import Dataset, QuerySet
from pipeline.rerankers.scores import read_scores
from pipeline.tracking import reader
from pipeline.tracking.reader import STAGE_TAG
from tests.conftest import Trained
from tests.points import compose_config

DEV = QuerySet({"d": "dev", "e": "other"}, {"d": {"a": 1}, "e": {"b": 1}})
TEST = QuerySet({"t": "test"}, {"t": {"a": 1}})
CORPUS = {"a": "first", "b": "second"}
DATASET = Dataset("tiny", "f" * 64, CORPUS, CORPUS, QuerySet({}, {}), DEV, TEST)
SCORES = {"d": {"a": 2.0, "b": 0.0}, "e": {"a": 0.5, "b": 1.0}, "t": {"a": 3.0, "b": 4.0}}


@pytest.mark.slow
def test_a_run_is_fitted_on_dev_queries_and_a_copy_of_its_model_is_served_so(
    trained: Callable[[str], Trained], shared: Shared, tmp_path: Path
) -> None:
    run = trained("colbert")
    copy = tmp_path / "copied"
    shutil.copytree(run.folder, copy)
    served = load(str(copy), run.config)
    record = reader.read_run(run.config.tracking, run.run_id)
    dev, test = shared.dataset.dev, shared.dataset.test
    stage = StageCache.of(run.config).folder / "scores" / record.tags[f"{STAGE_TAG}scores"]
    scores = read_scores(stage, dev.queries | test.queries)
    on_dev = judged(scores, dev.qrels)
    assert served.calibration == fit(on_dev)
    assert len(on_dev.scores) == sum(len(scores[query_id]) for query_id in dev.queries)
    assert record.metrics["calibration/brier_score"] > 0

    windows = replace(run.config, rerank=RerankConfig(windows=16))
    assert isinstance(load(str(copy), windows).calibration, str)
    (copy / CALIBRATION).unlink()
    assert isinstance(load(str(copy), run.config).calibration, str)
    assert content_hash(copy) == content_hash(run.folder)


def test_no_test_query_is_in_the_fit() -> None:
    config = compose_config([])
    found, metrics = calibrate(config, DATASET, SCORES)
    wanted = fit(judged(SCORES, DEV.qrels))
    assert (found["slope"], found["intercept"]) == (wanted.slope, wanted.intercept)
    assert (found["candidates"], found["relevant"]) == (4, 2)
    other = replace(DATASET, test=QuerySet({"t": "test"}, {"t": {"b": 1}}))
    again, measured = calibrate(config, other, SCORES | {"t": {"a": -9.0, "b": 9.0}})
    assert again == found
    brier = "calibration/brier_score"
    assert measured[brier] < 0.1 < metrics[brier]


def test_a_model_without_calibration_says_why(tmp_path: Path) -> None:
    with pytest.raises(Uncalibrated, match="saved without"):
        read(tmp_path, RerankConfig())
    config, nobody = compose_config([]), QuerySet({}, {})
    for dataset, reason in (
        (replace(DATASET, dev=nobody), "no dev queries"),
        (replace(DATASET, dev=replace(DEV, qrels={"d": {"z": 1}, "e": {"z": 1}})), "is relevant"),
    ):
        found, metrics = calibrate(config, dataset, SCORES)
        assert metrics == {}
        save(tmp_path, found)
        with pytest.raises(Uncalibrated, match=reason):
            read(tmp_path, RerankConfig())
    (tmp_path / CALIBRATION).write_text("{}")
    with pytest.raises(Uncalibrated, match=CALIBRATION):
        read(tmp_path, RerankConfig())


def test_a_calibration_holds_for_passages_that_are_scored_in_the_same_way(tmp_path: Path) -> None:
    config = compose_config(["arch=colbert", "rerank.windows=16"])
    save(tmp_path, calibrate(config, DATASET, SCORES)[0])
    assert read(tmp_path, config.rerank) == fit(judged(SCORES, DEV.qrels))
    with pytest.raises(Uncalibrated, match=r"only with rerank\.windows=16$"):
        read(tmp_path, RerankConfig())
    # A setting that an earlier release did not have can't be compared.
    found = json.loads((tmp_path / CALIBRATION).read_text())
    del found["rerank"]["token_pooling"]
    save(tmp_path, found)
    assert isinstance(read(tmp_path, config.rerank), Calibration)


def test_a_calibration_does_not_make_another_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    before = content_hash(tmp_path)
    save(tmp_path, asdict(Calibration(1.0, 0.0)))
    assert content_hash(tmp_path) == before
