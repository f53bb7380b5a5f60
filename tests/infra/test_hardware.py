"""What a stage costs is measured in the same unit on every system."""

import resource
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.infra import hardware


@pytest.mark.parametrize(("system", "counted"), [("darwin", 300 * 2**20), ("linux", 300 * 2**10)])
def test_peak_memory_is_in_mib(system: str, counted: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(resource, "getrusage", lambda who: SimpleNamespace(ru_maxrss=counted))
    monkeypatch.setattr(Path, "exists", lambda path: False)  # no /proc
    with hardware.measured() as cost:
        pass
    assert cost.peak_mib == 300
