"""Format figures for the report; a missing one is a dash."""

from datetime import timedelta
from math import isnan

from pipeline.records import START_KEPT

MISSING = "-"
SEARCH_NAMES = {"vector": "vector", "fts": "FTS", "hybrid": "hybrid"}
GROUPS = {
    "none": "Controls: the search alone",
    "untrained": "Untrained: a base as it is",
    "dedicated": "Dedicated: published rerankers, as they are",
    "scratch": "From scratch: a base trained here",
    "finetuned": "Fine-tuned: a dedicated reranker trained further",
    START_KEPT: "Start kept: training did not raise the dev score and was undone",
}


def number(value: float | None, form: str = ".3f") -> str:
    """Return ``0.591``."""
    return MISSING if value is None or isnan(value) else f"{value:{form}}"


def percent(share: float) -> str:
    """Return ``+11.7%`` for 0.117."""
    return MISSING if isnan(share) else f"{share:+.1%}"


def span(low: float, high: float, form: str = "+.1%", joint: str = " to ") -> str:
    """Return ``+6.2% to +17.3%``, or both ends in another ``form``."""
    return MISSING if isnan(low) or isnan(high) else f"{low:{form}}{joint}{high:{form}}"


def probability(p_value: float) -> str:
    """Return ``p = 0.012``, never p = 0."""
    if isnan(p_value):
        return "not tested"
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


def milliseconds(value: float) -> str:
    """Return ``22.2 ms`` or ``545 ms``: three figures."""
    if isnan(value):
        return MISSING
    return f"{value:.1f} ms" if value < 100 else f"{value:,.0f} ms"


def duration(seconds: float | None) -> str:
    """Return ``0:04:48``."""
    if seconds is None or isnan(seconds):
        return MISSING
    return str(timedelta(seconds=round(seconds)))


def listed(parts: list[str]) -> str:
    """Return ``a, b and c``."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"
