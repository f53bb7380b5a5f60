"""A sweep that is disturbed and resumed ends as if nothing had happened.

Real processes; only the last resume of a killed sweep runs in this one, and in make test the
undisturbed sweep. Kills are SIGKILL at seeded moments between the first log line and three quarters
of the time that an undisturbed sweep takes; before some of the restarts a stage file or checkpoint
is truncated or overwritten.
``CHAOS_KILLS=20`` (make chaos) kills more often, in as many sweeps as that takes, once point by
point and once with two workers, and adds a disk that fills up, a tracking server that goes away and
a point that always fails.
"""

import random
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.chaos.sweeps import (
    KILLS,
    POINT,
    POINTS,
    SHORT,
    SWEEP,
    Outcomes,
    damage,
    finish,
    finished_runs,
    killed,
    outcomes,
    resume,
    start,
)
from tests.conftest import Prepare
from tests.servers import free_port, mlflow_server

SEED = 9
TWO_WORKERS = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
AWAY = 30.0  # seconds without a tracking server
DISK = 24  # MiB, of which half a sweep takes more

pytestmark = [pytest.mark.chaos, pytest.mark.slow]
long = pytest.mark.skipif(SHORT, reason="only in make chaos")


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
    began = time.monotonic()
    (resume if SHORT else finish)(folder)
    seconds = time.monotonic() - began
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
            resume(folder, *words)
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
