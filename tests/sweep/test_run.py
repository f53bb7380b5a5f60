"""The run of a sweep: from before its first work, gone on with, and only one process at a time."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from filelock import FileLock, Timeout

from pipeline.config.stages import TrackingConfig
from pipeline.infra.errors import exit_code
from pipeline.records import InputError
from pipeline.sweep import attempt, estimate, resume
from pipeline.sweep import run as sweep
from pipeline.sweep.clock import Clock
from pipeline.tracking import reader, writer
from tests.conftest import NewStore
from tests.data.beir_folder import write
from tests.points import QUIET

BRIEF = ("eval.top_k=[2,4]", "eval.overfetch=1", "latency.enabled=false", "hardware.precision=fp32")
LINES = ["arch=none base=none negatives=0 epochs=0", "arch=colbert"]


@pytest.fixture
def run(tmp_path: Path) -> Callable[[Sequence[str]], int]:
    """The exit code of a sweep of these lines."""
    words = [f"output_dir={tmp_path / 'outputs'}", "hydra/job_logging=none"]
    return lambda lines: exit_code(lambda: sweep.run([*words, f"grid={list(lines)}"]))


@pytest.fixture
def config(tmp_path: Path, new_store: NewStore) -> TrackingConfig:
    return new_store(tmp_path / "outputs")


@pytest.mark.slow
def test_a_sweep_is_running_before_what_its_points_share_is_made(
    run: Callable[[Sequence[str]], int],
    config: TrackingConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lock = FileLock(tmp_path / "outputs" / ".sweep.lock")
    runs = []

    def find(config: TrackingConfig, keys: Sequence[str]) -> resume.Earlier:
        with pytest.raises(Timeout):
            lock.acquire(timeout=0)
        return found(config, keys)

    def prepare(*of: object) -> None:
        running = reader.any_alive(config)
        assert running is not None
        runs.append(running.run_id)
        assert run(LINES) == 1
        raise InputError("passages.jsonl:3: no text")

    found = resume.find
    monkeypatch.setattr(resume, "find", find)
    monkeypatch.setattr(attempt, "_prepare", prepare)
    assert run(LINES) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("refused: sweep (")
    assert second == "error: passages.jsonl:3: no text"
    ended = reader.read_run(config, runs[0])
    assert (ended.status, ended.tags["failure"]) == ("FAILED", "passages.jsonl:3: no text")


@pytest.mark.slow
def test_lines_in_another_order_are_the_same_sweep(
    config: TrackingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The base of the second point is broken, so the sweep can be resumed.

    The clock of each attempt stands still, 50 s after its start.
    """
    write(tmp_path / "data")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text('{"model_type": "modernbert"}')
    (tmp_path / "broken" / "model.safetensors").write_bytes(b"half")
    lines = [*LINES[:1], f"base=modernbert_tiny base.path={tmp_path}/broken mining.depth=1"]
    words = ["dataset=beir", f"dataset.path={tmp_path}/data", "dataset.name=data", *BRIEF, *QUIET]
    words += [f"output_dir={tmp_path}/outputs", "tracking.experiment=pydocs"]

    def run(lines: Sequence[str]) -> int:
        return exit_code(lambda: sweep.run([*words, f"grid={list(lines)}"]))

    monkeypatch.setattr("pipeline.sweep.clock.time", SimpleNamespace(time=lambda: 1050.0))
    monkeypatch.setattr(attempt, "Clock", partial(Clock, 1000.0))
    monkeypatch.setattr(
        estimate, "expect", lambda clock, *of: clock.expecting([("a", 100.0)], 20.0)
    )
    assert run(lines) == 1
    first = reader.latest_sweep(config)
    assert first is not None
    assert reader.read_run(config, first).metrics["sweep/seconds"] == 50
    before = {"sweep/seconds": 1000.0, "seconds/index": 7000.0}
    writer.reopen(config, first).log_metrics(before)
    assert run(lines[::-1]) == 1
    assert reader.latest_sweep(config) == first
    points = reader.read_attempts(config, first)
    assert [(point.params["base.path"] == "none", point.status) for point in points] == [
        (True, "FINISHED"),
        (False, "FAILED"),
        (False, "FAILED"),
    ]
    recorded = reader.read_run(config, first)
    params, metrics = recorded.params, recorded.metrics
    assert recorded.status == "FAILED"
    assert recorded.tags["failure"].startswith("1 point failed: ")
    assert metrics["sweep/seconds"] == 1050  # of both attempts
    assert metrics["sweep/estimated_seconds"] == 50 + 120  # of the first attempt
    assert metrics["seconds/index"] > 7000
    assert params["points"] == "2"
    assert params["grid"].index("arch=none") < params["grid"].index("base=modernbert_tiny")
