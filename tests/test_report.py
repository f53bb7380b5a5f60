"""``make report``: which sweep it reads, what it writes, and what it says of a mistake."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import tracking
from pipeline.config import TrackingConfig
from pipeline.records import InputError
from pipeline.report.__main__ import main, report
from tests.test_table import RECORDS, read


def store_sweep(config: TrackingConfig) -> str:
    with tracking.run(config, "sweep", {"kind": "sweep"}) as parent:
        child = replace(config, parent_run_id=parent.run_id)
        for run in RECORDS[:4]:
            try:
                with tracking.run(child, run.name, run.tags) as active:
                    active.log_params(run.params)
                    active.log_metrics(run.metrics)
                    tracking.log_per_query(active, read(run.run_id))
                    if run.status == "FAILED":
                        raise ValueError("out | of memory")
            except ValueError:
                pass
    return parent.run_id


def test_no_sweep_yet(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^no finished sweep in .*; run make sweep first$"):
        report([f"output_dir={tmp_path}"])
    assert list(tmp_path.iterdir()) == []


def test_the_command_reads_the_latest_sweep_or_one_by_its_run_id(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = TrackingConfig(uri=f"sqlite:///{tmp_path}/mlflow.db", experiment="e")
    sweep = store_sweep(config)
    words = [f"output_dir={tmp_path}", "tracking.experiment=e"]
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.report", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "NDCG@10" in done.stdout
    assert "FAILED cross_encoder_bad|name: ValueError: out | of memory" in done.stdout
    files = done.stdout.splitlines()[-3:]
    assert files == [f"{tmp_path}/report/report.{kind}" for kind in ("html", "md", "csv")]
    assert "colbert_minilm_l6_1neg_10ep" in Path(files[0]).read_text()
    assert "colbert_minilm_l6_1neg_10ep" in Path(files[1]).read_text()
    assert tracking.read_runs(config, sweep)[0].run_id in Path(files[2]).read_text()

    report([words[0], sweep])  # whatever the experiment
    assert capsys.readouterr().out == done.stdout
    with pytest.raises(InputError, match="nosuchrun"):
        report([words[0], "nosuchrun"])


@pytest.mark.parametrize(
    "word", ["trackin.uri=x", "dataset=nope", "epochs=two", "negatives=-1", "grid=[a=b]"]
)
def test_a_wrong_override_is_one_line(
    word: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["report", word])
    assert main() == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert word.split("=")[0] in shown.err
