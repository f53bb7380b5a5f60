"""The fingerprint of a point: equal for what gives the same result, and for nothing else."""

from pathlib import Path

import pytest

from pipeline.experiment.fingerprint import fingerprints
from pipeline.tracking import writer
from tests.conftest import Compose, NewStore
from tests.points import compose_config


@pytest.mark.slow
def test_a_fingerprint_is_of_what_determines_the_result(small: Compose) -> None:
    plain = small("arch=colbert")
    same = [
        small(
            "arch=colbert",
            "tracking.parent_run_id=abc",
            "tracking.experiment=e",
            "retries=3",
            "force=true",
        ),
        small("arch=colbert", "output_dir=elsewhere", "grid=[abc]", "fail_fast=true"),
        small("arch=colbert", "run_name=other", "train.checkpoint_minutes=1"),
        small("arch=colbert", "report.latency_budget_ms=50", "report.baseline=other"),
    ]
    other = [
        small("arch=colbert", "seed=13"),
        small("arch=colbert", "train.learning_rate=1e-3"),
        small("arch=colbert", "dataset.max_corpus=400"),
        small("arch=cross_encoder"),
    ]
    key, *found = fingerprints([plain, *same, *other])
    assert found[:4] == [key] * 4
    assert len({key, *found[4:]}) == 5


def test_a_control_is_one_point_whatever_others_train_with(small: Compose) -> None:
    points = [small("epochs=0", f"train.queries={n}", f"mining.margin=0.{n}") for n in (1, 2)]
    assert len(set(fingerprints(points))) == 1


@pytest.mark.slow
def test_changed_data_and_replaced_models_are_other_points(
    small: Compose, tmp_path: Path, new_store: NewStore
) -> None:
    (tmp_path / "qrels").mkdir()
    (tmp_path / "corpus.jsonl").write_text('{"_id": "d", "text": "t"}\n')
    (tmp_path / "queries.jsonl").write_text('{"_id": "q", "text": "t"}\n')
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td\t1\n")
    without = ["dataset=beir", f"dataset.path={tmp_path}", "arch=none", "base=none"]
    local = compose_config([*without, "negatives=0", "epochs=0"])
    before = fingerprints([local])
    (tmp_path / "corpus.jsonl").write_text('{"_id": "d", "text": "u"}\n')
    assert fingerprints([local]) != before

    named = small("base=model", "base.path=run:start", "base.name=start", "arch=colbert")
    named.tracking = new_store(tmp_path, "models")
    keys = []
    for _ in range(2):
        with writer.run(named.tracking, "start", {"kind": "point"}):
            pass
        keys += fingerprints([named])
    assert keys[0] != keys[1]


@pytest.mark.parametrize("key", ["base.path", "embedder.path", "mining.filter", "train.teacher"])
def test_the_files_of_every_model_count(key: str, small: Compose, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    point = small("arch.loss=kl", f"train.teacher={tmp_path}", f"{key}={folder}")
    before = fingerprints([point])
    assert fingerprints([point]) == before
    (folder / "config.json").write_text('{"model_type": "bert"}')
    assert fingerprints([point]) != before
