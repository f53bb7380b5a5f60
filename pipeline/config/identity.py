"""Tell points apart by the settings that determine their results."""

from dataclasses import asdict
from typing import Any

from pipeline.config import Config

RUNTIME = (
    "tracking",
    "report",
    "output_dir",
    "cache_uri",
    "run_name",
    "grid",
    "force",
    "fail_fast",
    "retries",
)
"""Keys of the configuration that change nothing about a result."""

WITHOUT_EFFECT = {
    "base": ("licence", "gpu_share"),
    "train": ("checkpoint_minutes",),
}
"""Keys within a group that change nothing about a result."""


def settings_of_result(point: Config) -> dict[str, Any]:
    """Return the settings that determine a point's result, by key; equal for the same point."""
    settings = asdict(point)
    for key in RUNTIME:
        del settings[key]
    for group, names in WITHOUT_EFFECT.items():
        for name in names:
            del settings[group][name]
    if point.epochs == 0:  # A control is one point, whatever the others train with.
        del settings["train"], settings["mining"]
    return settings
