"""The command: which runs it takes, and where its page is."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.commands.compare import compare
from pipeline.config.stages import TrackingConfig
from pipeline.records import InputError


def words(store: TrackingConfig, folder: Path) -> list[str]:
    return [f"tracking.uri={store.uri}", f"output_dir={folder}"]


def test_the_page_is_named_after_the_runs(
    pair_store: TrackingConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = compare(["low", "run:high", *words(pair_store, tmp_path)])
    assert file == tmp_path / "compare" / "low_vs_high.html"
    assert file.read_text().count("<h1>") == 1
    assert f"{file}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        (["low"], "give two runs, not 1"),
        (["low", "high", "control"], "give two runs, not 3"),
        (["low", "low"], "low and low are the same run"),
        (["low", "no_such"], "run:no_such: no finished run of this name"),
    ],
)
def test_bad_input_writes_nothing(
    runs: list[str], said: str, pair_store: TrackingConfig, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=said):
        compare([*runs, *words(pair_store, tmp_path)])
    assert list(tmp_path.iterdir()) == []


def test_the_command_ends_with_2_and_one_line(pair_store: TrackingConfig, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pipeline",
        "compare",
        "low",
        "no_such",
        *words(pair_store, tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: run:no_such: ")
    assert len(done.stderr.splitlines()) == 1
