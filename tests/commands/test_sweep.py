"""A sweep from the shell to MLflow: what it records, prints and shows."""

import re
import runpy
import shutil
from pathlib import Path

import ir_measures
import pytest
from mlflow.tracking import MlflowClient

from pipeline.evaluation.metrics import means
from pipeline.tracking import artifacts, reader
from tests.conftest import Prepare
from tests.points import SMALL, command, tracked

pytestmark = pytest.mark.slow

POINTS = ("arch=colbert,cross_encoder", "base=modernbert_tiny", "eval.overfetch=2")
FAST = ("latency.limits=[5]", "latency.queries=4", "latency.warmup=1")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, prepare: Prepare) -> tuple[Path, str, str]:
    """Where a two-point sweep ran, and what it printed to stdout and stderr."""
    folder = tmp_path_factory.mktemp("sweep")
    prepare(folder, *SMALL, *POINTS[1:])
    done = command("--multirun", *SMALL, *POINTS, *FAST, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout, done.stderr


def test_a_sweep_is_one_parent_and_a_run_a_point(swept: tuple[Path, str, str]) -> None:
    config = tracked(swept[0])
    parent = reader.latest_sweep(config)
    assert parent is not None
    runs = {run.name: run for run in reader.read_runs(config, parent)}
    assert sorted(runs) == [
        "colbert_modernbert_tiny_1neg_1ep",
        "cross_encoder_modernbert_tiny_1neg_1ep",
    ]
    for run in runs.values():
        assert run.status == "FINISHED"
        assert run.params["dataset.max_corpus"] == "500"
        assert re.fullmatch("[0-9a-f]{64}", run.params["data.fingerprint"])
        assert run.tags["initialisation"] == "scratch"
        for mode in ("vector", "fts", "hybrid"):
            for stage in ("", "_reranked", "_fused"):
                for metric in ("ndcg", "hit_rate", "mrr", "recall"):
                    for k in (5, 10):
                        assert 0 <= run.metrics[f"{mode}{stage}/{metric}_at_{k}"] <= 1
            assert f"{mode}_candidates/recall_at_20" in run.metrics
            assert run.metrics[f"latency/{mode}_5/total_p50_ms"] > 0
        assert run.metrics["train/pairs_seen"] == 96
        history = MlflowClient(config.uri).get_metric_history(run.run_id, "train/loss")
        # 48 queries, by default 8 in a batch of a cross-encoder and 16 in one of a ColBERT
        steps = 6 if run.tags["arch"] == "cross_encoder" else 3
        assert len(history) == run.metrics["train/steps"] == steps


def test_metrics_follow_from_the_exported_run_files(
    swept: tuple[Path, str, str], tmp_path: Path
) -> None:
    config = tracked(swept[0])
    parent = reader.latest_sweep(config)
    assert parent is not None
    run = reader.read_runs(config, parent)[0]
    client = MlflowClient(config.uri)
    files = Path(client.download_artifacts(run.run_id, "runs", str(tmp_path)))
    qrels = list(ir_measures.read_trec_qrels(str(files / "qrels.txt")))
    assert len({judged.query_id for judged in qrels}) == 60
    checked = 0
    for file in files.glob("*_at_*.run"):
        stage, k = file.stem.rsplit("_at_", 1)
        ndcg, hit = ir_measures.nDCG @ int(k), ir_measures.Success @ int(k)
        ranked = list(ir_measures.read_trec_run(str(file)))
        values = ir_measures.calc_aggregate([ndcg, hit], qrels, ranked)
        assert values[ndcg] == pytest.approx(run.metrics[f"{stage}/ndcg_at_{k}"], abs=6e-5)
        assert values[hit] == pytest.approx(run.metrics[f"{stage}/hit_rate_at_{k}"], abs=6e-5)
        checked += 1
    assert checked == 3 * 3 * 2
    for search in ("vector", "fts", "hybrid"):
        candidates = list(ir_measures.read_trec_run(str(files / f"{search}_candidates.run")))
        recall = ir_measures.calc_aggregate([ir_measures.R @ 20], qrels, candidates)
        logged = run.metrics[f"{search}_candidates/recall_at_20"]
        assert recall[ir_measures.R @ 20] == pytest.approx(logged, abs=6e-5)
    per_query = artifacts.read_per_query(config, run.run_id)
    facts = per_query.pop(artifacts.FACTS)[artifacts.TRAINED]
    assert set(facts.values()) == {0.0}  # the splits of pydocs share no passage
    assert len(facts) == 60
    for stage, values_of in per_query.items():
        for metric, mean in means(values_of).items():
            assert round(mean, 4) == run.metrics[f"{stage}/{metric}"]


def test_the_report_follows_from_the_exported_files_alone(
    swept: tuple[Path, str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The script computes with ir-measures and numpy, without this package."""
    script = Path("benchmarks/recompute.py")
    assert "pipeline" not in re.findall(r"^(?:import|from) (\w+)", script.read_text(), re.M)
    recompute = runpy.run_path(str(script))["main"]
    outputs = swept[0] / "outputs"
    assert recompute(outputs / "report", outputs / "artifacts") == 0
    agreed = re.fullmatch(r"([\d,]+) figures agree, 0 differ\n", capsys.readouterr().out)
    assert agreed is not None
    # 2 points x 6 columns x 4 measures of gain, interval, chosen, p; and much more
    assert int(agreed[1].replace(",", "")) > 2 * 6 * 4 * 6
    # One changed judgment is seen.
    changed = shutil.copytree(outputs / "report", tmp_path / "changed")
    csv = changed / "report.csv"
    csv.write_text(csv.read_text().replace("0.3", "0.4"))
    assert recompute(changed, outputs / "artifacts") == 1
    assert "in the report" in capsys.readouterr().out


def test_the_artifacts_and_the_model(swept: tuple[Path, str, str], tmp_path: Path) -> None:
    config = tracked(swept[0])
    parent = reader.latest_sweep(config)
    assert parent is not None
    run = reader.read_runs(config, parent)[0]
    names = {file.path for file in MlflowClient(config.uri).list_artifacts(run.run_id)}
    assert {"config.yaml", "model_card.md", "per_query.parquet", "pipeline.log", "runs"} <= names
    (saved,) = (swept[0] / "outputs" / "sweeps").glob(f"*/*_{run.name}/model")
    assert (saved / "model.safetensors").exists()
    assert run.name in (saved / "README.md").read_text()


def test_points_are_timed_after_the_last_of_them(swept: tuple[Path, str, str]) -> None:
    config = tracked(swept[0])
    parent = reader.latest_sweep(config)
    assert parent is not None
    runs = reader.read_runs(config, parent)
    client = MlflowClient(config.uri)
    last = max(client.get_run(run.run_id).info.end_time for run in runs)
    for run in runs:
        assert run.status == "FINISHED"
        (timed,) = client.get_metric_history(run.run_id, "latency/vector_5/total_p50_ms")
        assert timed.timestamp >= last
        for key in ("device", "name", "threads", "precision"):
            assert run.tags[f"latency.{key}"] == run.params[f"machine.{key}"]
        assert len(run.tags["stage.latency"]) == 16


def test_the_sweep_ends_with_the_table_and_the_ui(swept: tuple[Path, str, str]) -> None:
    _, printed, logged = swept
    assert "NDCG@10" in printed
    assert "colbert_modernbert_tiny_1neg_1ep" in printed
    assert "make ui" in printed
    lines = [line for line in logged.splitlines() if line.strip()]
    noise = [line for line in lines if not re.match(r"\d\d:\d\d:\d\d ", line)]
    assert noise == []
    first, second = (line for line in lines if re.search(r"\[\d/2\]", line))
    figures = r"vector_reranked hit@10 [01]\.\d{3}, NDCG@10 [01]\.\d{3}"
    assert re.search(rf" \[1/2\] \w+_1neg_1ep: {figures} \(\d+:\d\d\)$", first)
    assert re.search(rf" \[2/2\] \w+_1neg_1ep: {figures} \(\d+:\d\d\)$", second)


def test_the_sweeps_page_opens_with_its_table(swept: tuple[Path, str, str]) -> None:
    config = tracked(swept[0])
    parent = reader.latest_sweep(config)
    assert parent is not None
    sweep = reader.read_run(config, parent)
    note = sweep.tags["mlflow.note.content"]
    assert "| scratch | colbert_modernbert_tiny_1neg_1ep |" in note
    assert sweep.params["points"] == "2"
    run = reader.read_runs(config, parent)[0]
    client = MlflowClient(config.uri)
    (used,) = client.get_run(run.run_id).inputs.dataset_inputs
    fingerprint = run.params["data.fingerprint"]
    assert (used.dataset.name, used.dataset.digest) == ("pydocs", fingerprint[:8])
    assert (
        run.tags["mlflow.note.content"].lstrip().startswith("# ")
    )  # the card without its front matter
