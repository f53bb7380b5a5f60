"""The command: which runs it takes, and where its page is."""

from pathlib import Path

import pytest

from pipeline.config.stages import TrackingConfig
from tests.commands.conftest import code_of


def words(store: TrackingConfig, folder: Path) -> list[str]:
    return [f"tracking.uri={store.uri}", f"output_dir={folder}"]


def test_the_page_is_named_after_the_runs(
    pair_store: TrackingConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of(["compare", "low", "run:high", *words(pair_store, tmp_path)]) == 0
    file = tmp_path / "compare" / "low_vs_high.html"
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
def test_bad_input_is_one_line_and_writes_nothing(
    runs: list[str],
    said: str,
    pair_store: TrackingConfig,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert code_of(["compare", *runs, *words(pair_store, tmp_path)]) == 2
    printed, errors = capsys.readouterr()
    assert (printed, errors.count("\n")) == ("", 1)
    assert said in errors
    assert list(tmp_path.iterdir()) == []
