"""Fine-tuning on a labelled file, whole: audit, guards, forgetting check, what is recorded."""

import json
from pathlib import Path

import pytest

from pipeline.experiment import recipe as experiment
from pipeline.experiment.shared import Shared
from pipeline.records import InputError
from pipeline.tracking import reader
from tests.conftest import Compose
from tests.points import SMALL, compose_config

TINY = (
    "experiment=finetune",
    "arch=colbert",
    "negatives=2",
    "epochs=1",
    "max_length=48",
    "mining.depth=2",
    "mining.last_rank=40",
    "train.max_steps=4",
    "train.eval_every=2",
    "eval.overfetch=1",
    "latency.enabled=false",
    "hardware.precision=fp32",
    f"forgetting.{SMALL[0]}",
    "forgetting.dataset.max_corpus=100",
    "forgetting.dataset.max_eval_queries=40",
)


@pytest.fixture(scope="module")
def labelled_file(shared: Shared, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every query of the small data set with its passage and one judged irrelevant."""
    dataset = shared.dataset
    others = iter(dataset.corpus.values())
    file = tmp_path_factory.mktemp("labelled") / "pairs.jsonl"
    with file.open("w", encoding="utf-8") as lines:
        for split in (dataset.train, dataset.dev, dataset.test):
            for query_id, text in split.queries.items():
                (positive,) = split.qrels[query_id]
                rows = [(dataset.corpus[positive], 2), (next(others), 0)]
                for passage, label in rows:
                    row = {"query": text, "text": passage, "label": label}
                    lines.write(json.dumps(row) + "\n")
    return file


@pytest.mark.slow
def test_one_run_from_file_to_record(
    labelled_file: Path, small: Compose, tmp_path: Path, outputs: Path
) -> None:
    overrides = [*TINY, "dataset=labelled", f"dataset.path={labelled_file}"]
    scratch = ["base=minilm_l3", "base.keep_layers=[0]", "train.learning_rate=0.005"]
    config = compose_config([*overrides, f"output_dir={outputs}", *scratch])
    run_id = experiment.run(config, tmp_path / "run")
    record = reader.find_run(config.tracking, run_id)
    assert record.status == "FINISHED"
    assert record.params["dataset.name"] == "pairs"
    assert record.metrics["vector_reranked/ndcg_at_10"] > 0
    assert list(outputs.glob("artifacts/**/audit/audit.html"))

    # from here on again, with a learning rate that ruins it: the start is kept
    ruinous = ["train.learning_rate=0.05", "train.eval_every=null", "train.patience=null"]
    start = ["base=model", f"base.path={tmp_path / 'run/model'}", "base.name=tuned"]
    again = compose_config([*overrides, f"output_dir={outputs}", *start, *ruinous])
    assert again.initialisation == "finetuned"
    undone = reader.find_run(again.tracking, experiment.run(again, tmp_path / "again"))
    assert undone.metrics["train/dev_after"] < undone.metrics["train/dev_before"]
    assert undone.tags["best"] == "start"
    assert (record.tags["initialisation"], undone.tags["initialisation"]) == (
        "scratch",
        "start_kept",
    )
    assert "so the start is kept" in undone.tags["warnings"]
    name = "vector_reranked/ndcg_at_10"
    assert undone.metrics[name] == pytest.approx(record.metrics[name], abs=1e-9)
    # The second run starts from what the first one left, and so is what it keeps.
    before, after = (f"forgetting/{when}/ndcg_at_10" for when in ("before", "after"))
    assert record.metrics[before] != pytest.approx(record.metrics[after], abs=1e-4)
    for when in (before, after):
        assert undone.metrics[when] == pytest.approx(record.metrics[after], abs=1e-4)


def test_an_unusable_file_is_refused(small: Compose, tmp_path: Path, outputs: Path) -> None:
    file = tmp_path / "pairs.csv"
    file.write_text("query,text,label\nmerge two configurations,Draws a graph.,0\n")
    overrides = [*TINY, "dataset=labelled", f"dataset.path={file}", f"output_dir={outputs}"]
    with pytest.raises(InputError, match=r"pairs.csv: no query has a passage with a label above 0"):
        experiment.run(compose_config(overrides), tmp_path / "run")
    assert not (tmp_path / "run").exists()
