"""Check values against their bounds; the error names the key and what would be right."""

from collections.abc import Collection, Sequence

from pipeline.records import InputError


def require(condition: bool, key: str, value: object, expected: str) -> None:
    """Raise the InputError ``key=value: expected`` unless the condition holds."""
    if not condition:
        raise InputError(f"{key}={value}: {expected}")


def at_least(key: str, value: float | None, least: float) -> None:
    """Raise an InputError if ``value`` is below ``least``; None passes."""
    require(value is None or value >= least, key, value, f"must be at least {least}")


def one_of(key: str, value: str, options: Collection[str]) -> None:
    """Raise an InputError if ``value`` is none of the ``options``."""
    require(value in options, key, value, f"none of {', '.join(options)}")


def counts(key: str, values: Sequence[int]) -> None:
    """Raise an InputError unless ``values`` are one or more different numbers, 1 or above."""
    valid = bool(values) and len(set(values)) == len(values) and min(values) >= 1
    require(valid, key, values, "needs one or more different numbers >= 1")
