"""A sweep that is disturbed and resumed ends as if nothing had happened.

Real processes. Kills are SIGKILL at seeded moments between the first log line and three quarters
of the time that an undisturbed sweep takes; before some of the restarts a stage file or checkpoint
is truncated or overwritten. ``CHAOS_KILLS=20`` (make chaos) kills more often, in as many sweeps as
that takes, once point by point and once with two workers, and adds a disk that fills up, a
tracking server that goes away and a point that always fails.
"""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from pipeline.config.stages import TrackingConfig
from pipeline.tracking import reader, writer
from pipeline.tracking.reader import RunRecord
from tests.conftest import CHILD, TINY, Prepare
from tests.servers import free_port, mlflow_server

KILLS = int(os.environ.get("CHAOS_KILLS", "1"))
SHORT = KILLS <= 2
SEED = 9
POINTS = 2 if SHORT else 6
POINT = (
    "experiment=smoke",
    "grid=[]",
    *TINY,
    "train.max_steps=6",
    "train.eval_every=null",
    "train.checkpoint_minutes=0",
    "hardware.threads=1",
    "base=modernbert_tiny",
)
SWEEP = (*POINT, "arch=cross_encoder,colbert", f"seed={','.join(map(str, range(POINTS // 2)))}")
TWO_WORKERS = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
MEASURED = ("train/seconds", "train/pairs_per_s", "train/peak_mib", "eval/seconds", "eval/peak_mib")
AWAY = 30.0  # seconds without a tracking server
DISK = 24  # MiB, of which half a sweep takes more

pytestmark = [pytest.mark.chaos, pytest.mark.slow]
long = pytest.mark.skipif(SHORT, reason="only in make chaos")


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    """The sweep, when it has written its first line or has ended."""
    folder.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "sweep", *(words or SWEEP)],
        cwd=folder,
        env=CHILD,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    process.stderr.readline()
    return process


def finish(folder: Path, *words: str) -> float:
    """Run the sweep to its end; the seconds after its first line."""
    process = start(folder, *words)
    began = time.monotonic()
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    return time.monotonic() - began


def killed(folder: Path, after: float, *words: str) -> bool:
    """Start the sweep and kill it ``after`` seconds; False if it had already ended."""
    process = start(folder, *words)
    try:
        _, errors = process.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return True
    assert process.returncode == 0, errors
    return False


def damage(folder: Path, chance: random.Random) -> str:
    """Truncate or overwrite a file of a stage output; what was done, empty if there is none."""
    files = [path for path in (folder / "outputs" / "cache").glob("*/*/**/*") if path.is_file()]
    files = sorted(path for path in files if ".building-" not in str(path) and path.stat().st_size)
    files = [path for path in files if ".broken-" not in str(path)]
    if not files:
        return ""
    file = chance.choice(files)
    content = bytearray(file.read_bytes())
    how = chance.choice(["truncated", "corrupted"])
    if how == "truncated":
        del content[len(content) // 2 :]
    else:
        content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)
    return how


def finished_runs(folder: Path, uri: str | None = None) -> list[RunRecord]:
    """All finished runs of grid points; asserts that no run is left open."""
    uri = uri or f"sqlite:///{folder}/outputs/mlflow.db"
    config = TrackingConfig(uri=uri, experiment="pydocs")
    parent = reader.latest_sweep(config)
    assert parent is not None
    attempts = reader.read_attempts(config, parent)
    assert {run.status for run in attempts} <= {"FINISHED", "KILLED", "FAILED"}
    finished = [run for run in attempts if run.status == "FINISHED"]
    assert {run.run_id for run in finished} <= {
        run.run_id for run in reader.read_runs(config, parent)
    }
    return finished


Outcomes = dict[str, dict[str, object]]
"""Fingerprint of a point -> every metric but times and memory, and the sha256 of the weights."""


def outcomes(runs: list[RunRecord]) -> Outcomes:
    """What must not depend on the faults; asserts that no point is there twice."""
    found: Outcomes = {}
    for run in runs:
        metrics = {
            name: value
            for name, value in run.metrics.items()
            if name not in MEASURED and not name.startswith("seconds/")
        }
        weights = Path(run.tags[writer.MODEL_FOLDER], "model.safetensors").read_bytes()
        assert run.tags["fingerprint"] not in found, run.name
        found[run.tags["fingerprint"]] = {**metrics, "weights": hashlib.sha256(weights).hexdigest()}
    return found


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, prepare: Prepare) -> Path:
    """What sweeps start with: nothing, in make test what their points share."""
    folder = tmp_path_factory.mktemp("prepared")
    if SHORT:
        prepare(folder, *POINT)
    return folder


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, prepared: Path) -> tuple[float, Outcomes]:
    """How many seconds a sweep takes that is left alone, and what comes out."""
    folder = tmp_path_factory.mktemp("undisturbed")
    shutil.copytree(prepared, folder, dirs_exist_ok=True)
    seconds = finish(folder)
    found = outcomes(finished_runs(folder))
    assert len(found) == POINTS
    return seconds, found


@pytest.mark.parametrize("launcher", [(), pytest.param(TWO_WORKERS, marks=long)])
def test_killed_sweeps_end_like_an_undisturbed_one(
    launcher: tuple[str, ...],
    undisturbed: tuple[float, Outcomes],
    prepared: Path,
    tmp_path: Path,
    chaos_report: list[str],
) -> None:
    chance = random.Random(SEED)
    seconds, expected = undisturbed
    words = (*SWEEP, *launcher)
    kills = sweeps = rebuilt = 0
    faults: Counter[str] = Counter()
    while kills < KILLS:
        folder = shutil.copytree(prepared, tmp_path / f"sweep{sweeps}")
        sweeps += 1
        ended = False
        while kills < KILLS and not ended:
            ended = not killed(folder, chance.uniform(0, 0.75 * seconds), *words)
            kills += not ended
            if not ended and chance.random() < 0.5 and (how := damage(folder, chance)):
                faults[how] += 1
        if not ended:
            finish(folder, *words)
        rebuilt += len(list((folder / "outputs" / "cache").glob("*/*.broken-*")))
        assert outcomes(finished_runs(folder)) == expected
    done = ", ".join(f"{number} stage files {how}" for how, number in sorted(faults.items()))
    done = f"{done} and {rebuilt} folders rebuilt" if done else "no stage file damaged"
    chaos_report.append(
        f"chaos: {kills} kills{' with two workers' if launcher else ''}, {done}, {sweeps} sweeps "
        f"of {POINTS} points: none lost, none twice, the same metrics and weights"
    )


@long
def test_a_disk_that_fills_up(
    undisturbed: tuple[float, Outcomes], tmp_path: Path, chaos_report: list[str]
) -> None:
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}m", "tmpfs", str(outputs)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small file system can't be mounted here (needs root)")
    try:
        full = 0
        for size in range(DISK, 40 * DISK, DISK):
            again = ["mount", "-o", f"remount,size={size}m", str(outputs)]
            subprocess.run(again, capture_output=True, check=True)
            process = start(tmp_path)
            _, errors = process.communicate()
            if process.returncode == 0:
                break
            assert "Traceback" not in errors
            full += 1
        assert full > 0
        assert process.returncode == 0, errors
        assert outcomes(finished_runs(tmp_path)) == undisturbed[1]
    finally:
        lazily = ["umount", "--lazy", str(outputs)]  # our own look at the store is still open
        subprocess.run(lazily, check=True)
    chaos_report.append(f"chaos: disk full {full} times, each time given {DISK} MiB more: the same")


@long
def test_a_tracking_server_that_goes_away(
    undisturbed: tuple[float, Outcomes], tmp_path: Path, chaos_report: list[str]
) -> None:
    port, store = free_port(), f"sqlite:///{tmp_path}/server.db"
    uri = f"http://127.0.0.1:{port}"
    seconds, expected = undisturbed
    with mlflow_server(tmp_path, store, port):
        process = start(tmp_path, *SWEEP, f"tracking.uri={uri}")
        time.sleep(seconds / 2)
        assert process.poll() is None
    time.sleep(AWAY)
    with mlflow_server(tmp_path, store, port):
        _, errors = process.communicate()
        assert process.returncode == 0, errors
        assert outcomes(finished_runs(tmp_path, uri)) == expected
    chaos_report.append(f"chaos: tracking server away for {AWAY:.0f} s: the same")


@long
def test_a_point_that_always_fails(
    undisturbed: tuple[float, Outcomes], tmp_path: Path, chaos_report: list[str]
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text('{"model_type": "modernbert"}')
    (broken / "model.safetensors").write_bytes(b"half")
    seeds = ",".join(map(str, range(POINTS // 2)))
    lines = [
        "arch=cross_encoder base=model base.name=broken base.path=broken base.dedicated=false",
        f"arch=cross_encoder,colbert base=modernbert_tiny seed={seeds}",
    ]
    words = [*POINT[:-1], f"grid=[{','.join(repr(line) for line in lines)}]"]
    for attempt in range(2):
        process = start(tmp_path, *words)
        _, errors = process.communicate()
        assert process.returncode == 1, errors
        assert "1 point failed: cross_encoder_broken" in errors
        assert attempt == 0 or "1 point, first what they share" in errors
        assert outcomes(finished_runs(tmp_path)) == undisturbed[1]
    chaos_report.append("chaos: one point that always fails, twice: the others the same, exit 1")
