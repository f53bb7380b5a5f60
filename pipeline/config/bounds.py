"""Bounds of values; what is out of them is told in one line that names the key."""

from pipeline.records import InputError


def require(condition: bool, key: str, value: object, expected: str) -> None:
    """Raise an InputError that names the key and says what would be right."""
    if not condition:
        raise InputError(f"{key}={value}: {expected}")


def at_least(key: str, value: float | None, least: float) -> None:
    """``require`` that ``value`` is not below ``least``; None is no value."""
    require(value is None or value >= least, key, value, f"must be at least {least}")
