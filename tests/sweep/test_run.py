"""The run of a sweep: from before its first work, gone on with, and only one process at a time."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from filelock import FileLock, Timeout

from pipeline.config import Config
from pipeline.config.stages import TrackingConfig
from pipeline.experiment import lengths, shared
from pipeline.infra.errors import exit_code
from pipeline.records import InputError
from pipeline.report import write as show
from pipeline.sweep import estimate, launch, resume
from pipeline.sweep import run as sweep
from pipeline.sweep.launch import Launched
from pipeline.tracking import reader, writer
from tests.conftest import NewStore

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
        running = reader.running(config)
        assert running is not None
        runs.append(running.run_id)
        assert run(LINES) == 1
        raise InputError("passages.jsonl:3: no text")

    found = resume.find
    monkeypatch.setattr(resume, "find", find)
    monkeypatch.setattr(shared, "prepare_shared", prepare)
    assert run(LINES) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("refused: sweep (")
    assert second == "error: passages.jsonl:3: no text"
    ended = reader.read_run(config, runs[0])
    assert (ended.status, ended.tags["failure"]) == ("FAILED", "passages.jsonl:3: no text")


@pytest.mark.slow
def test_lines_in_another_order_are_the_same_sweep(
    run: Callable[[Sequence[str]], int],
    config: TrackingConfig,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parents = []

    def nothing(
        grid: object, keys: object, parent: str, numbers: Sequence[int], clock: object
    ) -> Launched:
        parents.append(parent)
        return Launched({}, dict.fromkeys(numbers, "no luck"))

    def prepare(point: Config, machine: object, cache: object, spent: dict[str, float]) -> object:
        spent["index"] = spent.get("index", 0.0) + 1.0
        return SimpleNamespace(candidates_key="c")

    monkeypatch.setattr(launch, "launch", nothing)
    monkeypatch.setattr(shared, "prepare_shared", prepare)
    monkeypatch.setattr(shared, "announce", lambda made: None)
    monkeypatch.setattr(lengths, "warn_of_embedder", lambda made: None)
    monkeypatch.setattr(
        estimate, "expect", lambda clock, *of: clock.expecting([("a", 100.0)], 20.0)
    )
    monkeypatch.setattr(show, "show", lambda *of: [])
    assert run(LINES) == 1
    writer.reopen(config, parents[0]).log_metrics({"sweep/seconds": 1000.0})
    assert run(LINES[::-1]) == 1
    assert parents == parents[:1] * 2
    recorded = reader.read_run(config, parents[0])
    params, metrics = recorded.params, recorded.metrics
    assert recorded.status == "FAILED"
    assert recorded.tags["failure"].startswith("2 points failed: ")
    assert 1000 <= metrics["sweep/seconds"] < 1100  # of both attempts
    assert 120 <= metrics["sweep/estimated_seconds"] < 220  # of the first attempt
    assert metrics["seconds/index"] == 2 * 2  # two points, of which one trains
    assert params["points"] == "2"
    assert params["grid"].index("arch=none") < params["grid"].index("arch=colbert")
