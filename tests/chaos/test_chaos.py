"""A sweep that is killed at random moments and resumed ends as if nothing had happened.

Real processes, SIGKILL, seeded moments between the first log line and three quarters of the time
that an undisturbed sweep takes; before some of the restarts a stage file is truncated or
overwritten. ``CHAOS_KILLS=20`` (make chaos) kills more often, in as many sweeps as that takes.
"""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from pipeline import tracking
from pipeline.config import TrackingConfig
from pipeline.tracking import RunRecord

KILLS = int(os.environ.get("CHAOS_KILLS", "2"))
SEED = 9
POINTS = 2 if KILLS <= 2 else 4
SWEEP = (
    "experiment=smoke",
    "grid=[]",
    "dataset.packages=[hydra-core,omegaconf]",
    "dataset.max_corpus=120",
    "dataset.max_train_queries=8",
    "dataset.max_dev_queries=4",
    "dataset.max_eval_queries=10",
    "mining.last_rank=40",
    "eval.overfetch=1",
    "train.max_steps=2",
    "train.eval_every=null",
    "latency.enabled=false",
    "hardware.threads=1",
    "base=modernbert_tiny",
    "arch=cross_encoder,colbert",
    f"seed={','.join(map(str, range(POINTS // 2)))}",
)
MEASURED = ("train/seconds", "train/pairs_per_s", "train/peak_mib", "eval/seconds", "eval/peak_mib")

pytestmark = pytest.mark.chaos


def start(folder: Path) -> subprocess.Popen[str]:
    """The sweep, when it has written its first line or has ended."""
    folder.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.sweep", *SWEEP],
        cwd=folder,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(Path.cwd())},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    process.stderr.readline()
    return process


def finish(folder: Path) -> float:
    """Run the sweep to its end; the seconds after its first line."""
    process = start(folder)
    began = time.monotonic()
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    return time.monotonic() - began


def killed(folder: Path, after: float) -> bool:
    """Start the sweep and kill it ``after`` seconds; False if it had already ended."""
    process = start(folder)
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


def finished_runs(folder: Path) -> list[RunRecord]:
    """All finished runs of grid points; asserts that no run is left open."""
    config = TrackingConfig(uri=f"sqlite:///{folder}/outputs/mlflow.db", experiment="pydocs")
    parent = tracking.latest_sweep(config)
    assert parent is not None
    attempts = tracking.read_attempts(config, parent)
    assert {run.status for run in attempts} <= {"FINISHED", "KILLED"}
    finished = [run for run in attempts if run.status == "FINISHED"]
    assert sorted(run.run_id for run in tracking.read_runs(config, parent)) == sorted(
        run.run_id for run in finished
    )
    return finished


def outcome(run: RunRecord) -> dict[str, object]:
    """What must not depend on the kills: every metric but times and memory, and the weights."""
    metrics = {name: value for name, value in run.metrics.items() if name not in MEASURED}
    weights = Path(run.tags[tracking.MODEL_FOLDER], "model.safetensors").read_bytes()
    return {**metrics, "weights": hashlib.sha256(weights).hexdigest()}


def test_killed_sweeps_end_like_an_undisturbed_one(tmp_path: Path, chaos_report: list[str]) -> None:
    chance = random.Random(SEED)
    seconds = finish(tmp_path / "undisturbed")
    expected = {
        run.tags["fingerprint"]: outcome(run) for run in finished_runs(tmp_path / "undisturbed")
    }
    assert len(expected) == POINTS
    kills = sweeps = rebuilt = 0
    faults: Counter[str] = Counter()
    while kills < KILLS:
        folder = tmp_path / f"sweep{sweeps}"
        sweeps += 1
        ended = False
        while kills < KILLS and not ended:
            ended = not killed(folder, chance.uniform(0, 0.75 * seconds))
            kills += not ended
            if not ended and chance.random() < 0.5 and (how := damage(folder, chance)):
                faults[how] += 1
        if not ended:
            finish(folder)
        rebuilt += len(list((folder / "outputs" / "cache").glob("*/*.broken-*")))
        runs = finished_runs(folder)
        assert Counter(run.tags["fingerprint"] for run in runs) == Counter(expected.keys())
        for run in runs:
            assert outcome(run) == expected[run.tags["fingerprint"]], run.name
    done = ", ".join(f"{number} stage files {how}" for how, number in sorted(faults.items()))
    done = f"{done} and {rebuilt} folders rebuilt" if done else "no stage file damaged"
    chaos_report.append(
        f"chaos: {kills} kills, {done}, {sweeps} sweeps of {POINTS} points: "
        "none lost, none twice, the same metrics and weights"
    )
