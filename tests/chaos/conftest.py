"""Prints what the chaos tests did after everything else."""

import pytest

REPORT = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[REPORT] = []


def pytest_unconfigure(config: pytest.Config) -> None:
    for line in config.stash.get(REPORT, []):
        print(line)


@pytest.fixture
def chaos_report(request: pytest.FixtureRequest) -> list[str]:
    """Lines to print at the very end."""
    return request.config.stash.setdefault(REPORT, [])
