"""Sweeps in processes of their own: started, killed, damaged, and what came of them."""

import hashlib
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

from pipeline.config.stages import TrackingConfig
from pipeline.sweep import run as sweep
from pipeline.tracking import reader, writer
from pipeline.tracking.reader import RunRecord
from tests.points import CHILD, QUIET, TINY

KILLS = int(os.environ.get("CHAOS_KILLS", "1"))
SHORT = KILLS <= 2
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
MEASURED = ("train/seconds", "train/pairs_per_s", "train/peak_mib", "eval/seconds", "eval/peak_mib")


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


def finish(folder: Path, *words: str) -> None:
    """Run the sweep to its end in a process of its own."""
    process = start(folder, *words)
    _, errors = process.communicate()
    assert process.returncode == 0, errors


def resume(folder: Path, *words: str) -> None:
    """Run the sweep to its end in this process."""
    sweep.run([*(words or SWEEP), *QUIET, f"output_dir={folder / 'outputs'}"])


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
