"""A tracking server with PostgreSQL behind it takes four points at once, and loses nothing."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline.config.stages import TrackingConfig
from pipeline.tracking import artifacts, reader, writer
from tests.servers import free_port, mlflow_server

INSTALLED = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))  # Debian's, not in PATH
INITDB = shutil.which("initdb") or (str(INSTALLED[-1]) if INSTALLED else None)
POINTS, STEPS = 4, 20

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(INITDB is None, reason="PostgreSQL's server is not installed"),
]

POINT = """
import sys
from dataclasses import replace
from pathlib import Path
from pipeline.tracking import artifacts
from pipeline.tracking import reader
from pipeline.tracking import writer
from pipeline.config.stages import TrackingConfig
uri, parent, number, steps, file = sys.argv[1:]
config = TrackingConfig(uri=uri, experiment="shared", parent_run_id=parent)
with writer.run(config, f"point{number}", {"kind": "point", "fingerprint": number}) as run:
    run.log_params({f"p{i}": f"{number}-{i}" for i in range(120)})
    for step in range(int(steps)):
        run.log_metrics({"train/loss": float(number) + step}, step)
    run.log_metrics({f"vector/m{i}": float(i) for i in range(200)})
    run.log_file(Path(file), "runs")
"""


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The address of a database of its own, on loopback."""
    assert INITDB is not None
    programs = Path(INITDB).resolve().parent
    data, port = Path(tempfile.mkdtemp(prefix="postgres")), free_port()
    user = "postgres" if os.getuid() == 0 else None  # the server refuses to run as root
    if user:
        shutil.chown(data, user)
    make = [INITDB, "-D", str(data), "-U", "mlflow", "-A", "trust"]
    make += ["--no-locale", "-E", "UTF8"]
    subprocess.run(make, user=user, check=True, capture_output=True)
    server = subprocess.Popen(
        [str(programs / "postgres"), "-D", str(data), "-p", str(port)]
        + ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={data}"],
        user=user,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        create = [str(programs / "createdb"), "-h", "127.0.0.1", "-p", str(port)]
        for _ in range(500):
            made = subprocess.run(
                [*create, "-U", "mlflow", "mlflow"], capture_output=True, text=True
            )
            if made.returncode == 0:
                break
            time.sleep(0.2)
        else:
            pytest.fail(f"PostgreSQL did not start: {made.stderr}")
        yield f"postgresql://mlflow@127.0.0.1:{port}/mlflow"
    finally:
        server.send_signal(signal.SIGINT)  # without waiting for clients to leave
        server.wait()
        shutil.rmtree(data)


@pytest.fixture(scope="module")
def served(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an MLflow server on that database; artifacts go through it."""
    with mlflow_server(tmp_path_factory.mktemp("served"), postgres) as uri:
        yield uri


def test_four_points_at_once(served: str, tmp_path: Path) -> None:
    config = TrackingConfig(uri=served, experiment="shared")
    file = tmp_path / "vector_at_10.run"
    file.write_text("q1 Q0 d1 1 0.5 tag\n")
    with writer.run(config, "sweep", {"kind": "sweep"}) as parent:
        arguments = [served, parent.run_id]
        points = [
            subprocess.Popen(
                [sys.executable, "-c", POINT, *arguments, str(number), str(STEPS), str(file)],
                env=os.environ | {"PYTHONPATH": str(Path.cwd())},
                stderr=subprocess.PIPE,
                text=True,
            )
            for number in range(POINTS)
        ]
        for point in points:
            _, errors = point.communicate()
            assert point.returncode == 0, errors
    runs = reader.read_runs(config, parent.run_id)
    assert sorted(run.name for run in runs) == [f"point{number}" for number in range(POINTS)]
    client = MlflowClient(served)
    for run in runs:
        number = run.name.removeprefix("point")
        assert run.status == "FINISHED"
        assert run.params == {f"p{i}": f"{number}-{i}" for i in range(120)}
        assert run.metrics.items() >= {f"vector/m{i}": float(i) for i in range(200)}.items()
        curve = client.get_metric_history(run.run_id, "train/loss")
        assert [point.value for point in curve] == [float(number) + step for step in range(STEPS)]
        loaded = artifacts.download(config, run.run_id, "runs/vector_at_10.run", tmp_path)
        assert loaded is not None
        assert loaded.read_text() == file.read_text()


def test_the_database_itself_is_an_address_too(postgres: str, tmp_path: Path) -> None:
    config = TrackingConfig(uri=postgres, experiment="direct", artifact_location=str(tmp_path))
    with writer.run(config, "point", {"kind": "point"}) as run:
        run.log_metrics({"vector/ndcg_at_10": 0.5})
    assert reader.read_run(config, run.run_id).metrics == {"vector/ndcg_at_10": 0.5}
