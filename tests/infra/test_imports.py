"""The garbage collector while heavy libraries are imported."""

import gc
import sys
from pathlib import Path

import pytest

from pipeline.infra.imports import importing


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """An entry for each call of ``gc.freeze``: whether the collector was on."""
    calls: list[bool] = []
    monkeypatch.setattr(gc, "freeze", lambda: calls.append(gc.isenabled()))
    return calls


def test_it_is_off_while_modules_are_imported_and_skips_them_later(
    frozen: list[bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "heavy_library.py").write_text("import gc\nENABLED = gc.isenabled()\n")
    monkeypatch.syspath_prepend(tmp_path)
    with importing():
        import heavy_library  # type: ignore[import-not-found]
    assert heavy_library.ENABLED is False
    assert gc.isenabled()
    assert frozen == [False]
    del sys.modules["heavy_library"]


def test_models_of_earlier_points_are_still_collected(frozen: list[bool]) -> None:
    """Only the first point of a process imports something."""
    with importing():
        import json  # noqa: F401
    assert frozen == []
    assert gc.isenabled()


def test_it_stays_off_and_a_failed_import_is_raised(frozen: list[bool]) -> None:
    gc.disable()
    try:
        with pytest.raises(ImportError), importing():
            raise ImportError("no torch")
        assert not gc.isenabled()
    finally:
        gc.enable()
