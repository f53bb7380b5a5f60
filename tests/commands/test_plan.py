"""The plan of a grid."""

import json
import re
from pathlib import Path

import pytest

from pipeline.commands import plan
from pipeline.experiment.speed import Speed
from pipeline.sweep import estimate
from pipeline.sweep.estimate import Seconds
from tests.commands.conftest import code_of


@pytest.mark.slow
def test_the_plan_of_the_report_writes_nothing(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of(["plan", "experiment=report"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"colbert_modernbert_2neg_4ep .* 24,000,000 .* 62,500", shown)
    assert re.search(r"^time: \?, the speed of minilm, modernbert, .* is not known", shown, re.M)
    assert list(elsewhere.iterdir()) == []


def test_what_only_the_data_can_tell_is_a_question_mark(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labelled = ["dataset=labelled", "dataset.path=."]
    assert code_of(["plan", *labelled, "grid=['epochs=0','epochs=2']"]) == 0
    shown = capsys.readouterr().out
    rows = re.findall(r"^│ (\d) .* │ +(\S+) │ +(\S+) │$", shown, re.M)
    assert rows == [("1", "-", "-"), ("2", "?", "?")]
    assert "time: ?, only the data can tell" in shown


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
    monkeypatch.setattr(plan, "_measured", lambda *_: [Seconds(train=1, score=2, time=3, rest=4)])
    sizes = ("max_corpus=100", "max_train_queries=100", "max_dev_queries=0", "max_eval_queries=80")
    words = ["plan", *(f"dataset.{size}" for size in sizes), "eval.depth=10", "max_length=128"]
    words += ["--price", "L4=3600e6,H100=1", "base=minilm_l6", "--utilisation=0.5", "epochs=0,1"]
    assert code_of([*words, "latency.enabled=false"]) == 0
    text = capsys.readouterr().out
    assert code_of([*words, "latency.enabled=false", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)

    # 80 queries of 0.62 x 3 x 10 candidates by two models; 200 pairs of 48 tokens, three times.
    pair = 128 * (2 * 10_616_832 + 4 * 6 * 128 * 384)
    trained = 48 * (2 * 10_616_832 + 4 * 6 * 48 * 384) * 200 * 3
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
    assert found["here"]["seconds"] == [{"train": 1, "score": 2, "time": 3, "rest": 4}]

    assert re.search(r"│ all +│ +200 │ +13 │ +2,976 │ +0\.624 │ +8\.54 │ +0\.361 │", text)
    assert re.search(r"ASSUMED 50% .*\n +L4 +\(121 TFLOP/s\): 0\.15 s, money: 150,000 at", text)
    assert re.search(r"A10G \(70 TFLOP/s\): 0\.26 s\n", text)
    assert list(elsewhere.iterdir()) == []


def test_a_wrong_option_is_a_mistake(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("--price=T4=1", "--utilisation=2", "--utilisation=x"):
        assert code_of(["plan", option]) == 2
        assert option.split("=")[0] in capsys.readouterr().err


@pytest.mark.slow
def test_a_data_set_without_training_queries_is_named(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (elsewhere / "scifact" / "qrels").mkdir(parents=True)
    folder = ["dataset=beir", "dataset.path=scifact"]
    for epochs, code in ((0, 0), (1, 2)):
        assert code_of(["plan", *folder, f"epochs={epochs}"]) == code
    error = capsys.readouterr().err
    assert error.startswith("error: epochs=1: data set scifact has no training queries")
    assert "scifact/qrels/train.tsv" in error and "epochs=0" in error
    (elsewhere / "scifact" / "qrels" / "train.tsv.gz").touch()
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
