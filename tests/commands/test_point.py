"""The real command line: a sweep from the shell to MLflow and the UI, and bad input."""

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import ir_measures
import pytest
from mlflow.tracking import MlflowClient

from pipeline.evaluation.metrics import means
from pipeline.tracking import artifacts, reader, store
from tests.conftest import SMALL, command, mlflow_server, tracked

POINTS = ("arch=colbert,cross_encoder", "base=modernbert_tiny", "eval.overfetch=2")
FAST = ("latency.limits=[5]", "latency.queries=4", "latency.warmup=1")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """Where a two-point sweep ran, and what it printed to stdout and stderr."""
    folder = tmp_path_factory.mktemp("sweep")
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
        assert len(history) == run.metrics["train/steps"]
    assert runs["colbert_modernbert_tiny_1neg_1ep"].metrics["train/steps"] == 3
    assert runs["cross_encoder_modernbert_tiny_1neg_1ep"].metrics["train/steps"] == 6


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
    for file in files.glob("*.run"):
        stage, k = file.stem.rsplit("_at_", 1)
        ndcg, hit = ir_measures.nDCG @ int(k), ir_measures.Success @ int(k)
        ranked = list(ir_measures.read_trec_run(str(file)))
        values = ir_measures.calc_aggregate([ndcg, hit], qrels, ranked)
        assert values[ndcg] == pytest.approx(run.metrics[f"{stage}/ndcg_at_{k}"], abs=1e-9)
        assert values[hit] == pytest.approx(run.metrics[f"{stage}/hit_rate_at_{k}"], abs=1e-9)
        checked += 1
    assert checked == 3 * 3 * 2
    per_query = artifacts.read_per_query(config, run.run_id)
    for stage, values_of in per_query.items():
        for metric, mean in means(values_of).items():
            assert mean == pytest.approx(run.metrics[f"{stage}/{metric}"], abs=1e-9)


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
    assert re.search(
        rf" \[1/2\] \w+_1neg_1ep: {figures} \(\d+:\d\d; about \d+ (s|min) left\)$", first
    )
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


def test_the_ui_serves_the_runs_on_loopback(swept: tuple[Path, str, str], tmp_path: Path) -> None:
    config = tracked(swept[0])
    body = json.dumps({"experiment_ids": [store.open_experiment(config)]}).encode()
    with mlflow_server(tmp_path, config.uri) as uri:
        url, kind = f"{uri}/api/2.0/mlflow/runs/search", {"Content-Type": "application/json"}
        request = urllib.request.Request(url, body, kind)
        with urllib.request.urlopen(request, timeout=60) as answer:
            found = json.load(answer)["runs"]
    assert "colbert_modernbert_tiny_1neg_1ep" in {run["info"]["run_name"] for run in found}


def write_lines(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


BAD = {
    "misspelt key": (["trian.learning_rate=1"], "did you mean train.learning_rate"),
    "misspelt key, appended": (["+train.lr=1"], "train.lr: no such key; did you mean train.le"),
    "unknown group": (["arch=cross"], "colbert cross_encoder none"),
    "negative": (["negatives=-1"], "negatives=-1: must be at least 0"),
    "not a number": (["epochs=two"], "'two'"),
    "top_k over the corpus": (
        [*SMALL, "eval.top_k=[600]", "arch=none", "epochs=0"],
        "eval.top_k=[600]: the corpus has only 500 passages",
    ),
    "no qrels": (["dataset=beir", "dataset.path=beir"], "beir/qrels/test.tsv: no such file"),
    "bad line": (["dataset=labelled", "dataset.path=pairs.csv"], 'pairs.csv:3: "label" is -1'),
    "no folder": (["dataset=beir", "dataset.path=nowhere"], "dataset.path=nowhere"),
    "base": (["base.path=no/such-model"], "base.path=no/such-model"),
    "hub data": (["dataset=gooaq"], "dataset=pydocs"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_exit_code_2(case: str, tmp_path: Path) -> None:
    overrides, said = BAD[case]
    write_lines(tmp_path / "beir" / "corpus.jsonl", ['{"_id": "d1", "text": "one"}'])
    write_lines(tmp_path / "beir" / "queries.jsonl", ['{"_id": "q1", "text": "two"}'])
    write_lines(tmp_path / "pairs.csv", ["query,text,label", "one,two,1", "one,three,-1"])
    done = command(*overrides, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "Error executing job" not in done.stderr
    assert said in errors[0]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "outputs" / "mlflow.db").exists()
    assert done.stdout == ""


def test_a_bad_point_stops_a_sweep_before_any_work(tmp_path: Path) -> None:
    done = command("negatives=1,99", cwd=tmp_path, to="sweep")
    assert done.returncode == 2
    said = "negatives=99: only mining.depth=5 are mined per query, raise mining.depth"
    assert done.stderr == f"error: {said}\n"
    assert not (tmp_path / "outputs").exists()


EARLY = {
    "dataset.path": (
        ["dataset=labelled", "dataset.path=no.csv"],
        "dataset.path=no.csv: no such file or folder",
    ),
    "output_dir": (
        ["output_dir=file/below"],
        "output_dir=file/below: can't be written to ({}/file: is a file)",
    ),
    "windows": (
        ["rerank.windows=96"],
        "rerank.windows=96: the model reads 48 tokens, query included; take fewer",
    ),
}


@pytest.mark.parametrize("to", ["run", "sweep"])
@pytest.mark.parametrize("case", EARLY)
def test_what_no_point_can_start_with_is_told_before_any_folder_is_made(
    case: str, to: str, tmp_path: Path
) -> None:
    overrides, said = EARLY[case]
    (tmp_path / "file").touch()
    done = command(*overrides, cwd=tmp_path, to=to)
    assert done.returncode == 2
    assert done.stderr == f"error: {said.format(tmp_path)}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_plan_of_the_report_loads_nothing(tmp_path: Path) -> None:
    done = command("experiment=report", cwd=tmp_path, to="plan")
    assert done.returncode == 0, done.stderr
    assert re.search(r"colbert_modernbert_2neg_4ep .* 24,000,000 .* 62,500", done.stdout)
    assert list(tmp_path.iterdir()) == []


def test_help_shows_groups_keys_and_examples(tmp_path: Path) -> None:
    done = command("--help", cwd=tmp_path)
    assert done.returncode == 0
    for word in (
        "arch",
        "minilm_l3",
        "learning_rate",
        "python -m pipeline arch=colbert",
        "count in\n",
    ):
        assert word in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_help_imports_no_heavy_library(tmp_path: Path) -> None:
    program = (
        "import sys; sys.argv = ['pipeline', '--help']\n"
        "import pipeline.commands.point as m\n"
        "try:\n    m.main()\nexcept SystemExit:\n    pass\n"
        "print(sorted({'torch', 'mlflow', 'lancedb', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
