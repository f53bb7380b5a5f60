"""The plan of a grid."""

import gzip
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.experiment.speed import Speed
from pipeline.sweep import estimate, plan
from pipeline.sweep.estimate import Seconds
from pipeline.sweep.grid import Grid
from pipeline.sweep.planned_work import is_here
from pipeline.sweep.sizes import read_sizes
from tests.commands.conftest import code_of
from tests.conftest import Trained
from tests.data import beir_folder
from tests.data.labelled import labelled_file
from tests.points import load


@pytest.mark.slow
def test_the_plan_of_the_report_writes_nothing(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of(["plan", "experiment=report"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"colbert_modernbert_2neg_4ep .* 24,000,000 .* 62,500", shown)
    assert re.search(r"^time: \?, the speed of minilm, modernbert, .* is not known", shown, re.M)
    assert list(elsewhere.iterdir()) == []


@pytest.mark.slow
def test_data_of_ones_own_are_counted_as_a_run_reads_them(
    elsewhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimate, "measure", lambda *_: Speed(train=3, score=0.1, serve=0.2))
    file = labelled_file.write(elsewhere / "pairs.jsonl", labelled_file.pairs())
    beir_folder.write(elsewhere / "tiny")
    words = ["epochs=1", "base=modernbert_tiny", "eval.top_k=[5]", "latency.enabled=false"]
    words += ["negatives=2", "mining.depth=2", "eval.depth=5"]
    sizes = {}
    for dataset in ("labelled", "beir"):
        path = file if dataset == "labelled" else elsewhere / "tiny"
        own = [f"dataset={dataset}", f"dataset.path={path}"]
        (point,) = Grid([*own, *words]).points
        data = load(point.dataset, elsewhere / "cache")
        rows = sum(map(len, data.train.qrels.values()))
        queries = len(data.dev) + len(data.test)
        shutil.rmtree(elsewhere / "cache")
        assert code_of(["plan", *own, *words, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        (only,) = found["points"]
        sizes[dataset] = (rows, queries)
        assert only["pairs_to_train"] == only["schedule"]["pairs"] == 3 * rows
        # 0.62 x 3 x 5 passages, of which the folder has six
        assert only["pairs_to_score"] == round(min(9.3, len(data.corpus)) * queries)
        assert found["here"]["unknown"] is None
    assert len(set(sizes.values())) == 2 and all(rows > 0 for rows, _ in sizes.values())
    assert {path.name for path in elsewhere.iterdir()} == {"pairs.jsonl", "tiny"}


@pytest.mark.slow
def test_large_files_are_not_read(
    elsewhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    labelled_file.write(elsewhere / "pairs.jsonl", labelled_file.pairs())
    monkeypatch.setattr("pipeline.sweep.sizes.LARGE", 1000.0)
    labelled = ["dataset=labelled", "dataset.path=pairs.jsonl"]
    assert code_of(["plan", *labelled, "grid=['epochs=0','epochs=2']"]) == 0
    shown = capsys.readouterr().out
    rows = re.findall(r"^│ (\d) .* │ +(\S+) │ +(\S+) │$", shown, re.M)
    assert rows == [("1", "-", "-"), ("2", "?", "?")]
    assert "time: ?, only a run reads pairs" in shown


@pytest.mark.slow
def test_a_broken_file_is_a_mistake(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (elsewhere / "pairs.jsonl").write_text("{}\n")
    assert code_of(["plan", "dataset=labelled", "dataset.path=pairs.jsonl"]) == 2
    assert "pairs.jsonl" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_to_start_from_is_found(trained: Callable[[str], Trained]) -> None:
    run = trained("colbert")
    words = ["arch=colbert", f"base=run:{run.run_id}", f"tracking.uri={run.config.tracking.uri}"]
    (point,) = read_sizes(Grid([*words, "tracking.experiment=pydocs"]).points)
    assert point.base.path == str(run.folder) and point.initialisation == "finetuned"
    assert is_here(point)


@pytest.mark.slow
def test_the_time_is_the_work_by_the_speed(
    elsewhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimate, "measure", lambda *_: Speed(train=3, score=0.1, serve=0.2))
    sizes = ("max_train_queries=100", "max_dev_queries=20", "max_eval_queries=80")
    words = [*(f"dataset.{size}" for size in sizes), "eval.depth=10", "latency.limits=[20]"]
    points = ["arch=none base=none negatives=0 epochs=0", "base=modernbert_tiny epochs=1,2"]
    assert code_of(["plan", f"grid={points}", *words]) == 0
    shown = capsys.readouterr().out
    # 100 rows of two pairs in 1 + 2 epochs; twice 100 queries of 0.62 x 3 x 10 candidates; 35
    # queries of 20 passages, timed once for both.
    assert "600 pairs to train, 3,720 to score, 700 to time" in shown
    # 1,810 s, 372 s, and 140 s with the searches and a start for each of the two that are timed
    assert re.search(r"time: about 39 min: 30 min to train, 6 min to score, 3 min to time", shown)
    assert list(elsewhere.iterdir()) == []


@pytest.mark.slow
def test_the_cost_is_printed_as_text_and_as_one_object(
    elsewhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    times = [Seconds(0, 2, 0, 5), Seconds(100, 20, 3, 5)]
    monkeypatch.setattr(plan, "measure", lambda _: times)
    sizes = ("max_corpus=100", "max_train_queries=100", "max_dev_queries=0", "max_eval_queries=80")
    words = ["plan", *(f"dataset.{size}" for size in sizes), "eval.depth=10", "max_length=128"]
    words += ["--price", "L4=3600e6,H100=1", "base=minilm_l6", "--utilisation=0.5", "epochs=0,1"]
    assert code_of([*words, "latency.enabled=false"]) == 0
    text = capsys.readouterr().out
    assert code_of([*words, "latency.enabled=false", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)

    # 80 queries of 0.62 x 3 x 10 candidates by two models; 200 pairs of 96 tokens, three times.
    pair = 128 * (2 * 10_616_832 + 4 * 6 * 128 * 384)
    trained = 96 * (2 * 10_616_832 + 4 * 6 * 96 * 384) * 200 * 3
    untrained, scratch = found["points"]
    assert scratch["run"] == "cross_encoder_minilm_l6_1neg_1ep"
    counts = [scratch[key] for key in ("pairs_to_train", "steps", "pairs_to_score")]
    assert counts == [200, 13, 1488]
    assert scratch["schedule"] == {"pairs": 200, "steps": 13}
    assert untrained["schedule"] is None and untrained["training_flops"] == 0
    total = found["total"]
    assert total["training_flops"] == trained
    assert total["scoring_flops"] == 2 * 1488 * pair
    assert total["memory_bytes"] == 22_534_656 * 16
    gpu = found["gpu"]
    assert (gpu["assumed_utilisation"], gpu["measured"]) == (0.5, False)
    l4, a10g, *_ = gpu["gpus"]
    seconds = (trained + 2 * 1488 * pair) / (121e12 / 2)
    assert l4["seconds"] == pytest.approx(seconds)
    assert l4["cost"] == pytest.approx(seconds * 1e6) and a10g["cost"] is None
    assert scratch["seconds"] == {"train": 100, "score": 20, "time": 3, "rest": 5}
    assert found["here"]["seconds"] == [point["seconds"] for point in found["points"]]
    for point in found["points"]:
        on_l4, on_a10g, *_ = point["gpus"]
        assert on_l4["seconds"] == pytest.approx(
            (point["training_flops"] + point["scoring_flops"]) / (121e12 / 2)
        )
        assert on_l4["cost"] == pytest.approx(on_l4["seconds"] * 1e6) and on_a10g["cost"] is None
    assert sum(point["gpus"][0]["cost"] for point in found["points"]) == pytest.approx(l4["cost"])

    sums = r"│ all +│ +200 │ +13 │ +2,976 │ +1\.27 │ +8\.54 │ +0\.361 │ +\d+ │ +2 min │"
    assert re.search(sums, text)
    assert re.search(r"│ cross_encoder_minilm_l6_1neg_0ep │.* 10 s │$", text, re.M)
    assert re.search(r"ASSUMED 50% .*\n +L4 +\(121 TFLOP/s\): 0\.16 s, money: 160,000 at", text)
    assert re.search(r"A10G \(70 TFLOP/s\): 0\.28 s\n", text)
    assert list(elsewhere.iterdir()) == []


def test_a_wrong_option_is_a_mistake(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("--price=T4=1", "--utilisation=2", "--utilisation=x"):
        assert code_of(["plan", option]) == 2
        assert option.split("=")[0] in capsys.readouterr().err


@pytest.mark.slow
def test_a_data_set_without_training_queries_is_named(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    beir_folder.write(elsewhere / "scifact", train="")
    folder = ["dataset=beir", "dataset.path=scifact"]
    folder += ["eval.top_k=[5]", "base.path=org/model"]  # whose speed is not measured
    for epochs, code in ((0, 0), (1, 2)):
        assert code_of(["plan", *folder, f"epochs={epochs}"]) == code
    error = capsys.readouterr().err
    assert error.startswith("error: epochs=1: data set scifact has no training queries")
    assert "scifact/qrels/train.tsv" in error and "epochs=0" in error
    qrels = beir_folder.tsv(beir_folder.TRAIN).encode()
    (elsewhere / "scifact" / "qrels" / "train.tsv.gz").write_bytes(gzip.compress(qrels))
    assert code_of(["plan", *folder, "epochs=1"]) == 0
    assert code_of(["plan", "dataset.max_train_queries=0", "epochs=1"]) == 2


def test_a_run_to_start_from_must_exist(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for word in ("base=run:none", "train.teacher=run:none arch.loss=kl", "mining.filter=run:none"):
        assert code_of(["plan", *word.split()]) == 2
        assert capsys.readouterr().err.startswith("error: nothing has been recorded in outputs/")
    assert list(elsewhere.iterdir()) == []


@pytest.mark.slow
def test_a_bad_point_stops_it(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("plan", "sweep"):
        assert code_of([command, "negatives=1,99"]) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: negatives=99: only mining.depth=5 are mined per query")
        assert error.count("\n") == 1
    assert list(elsewhere.iterdir()) == []
