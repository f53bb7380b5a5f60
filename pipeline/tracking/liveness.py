"""Which process writes a run, and whether it is still there."""

import os
import platform
import time
from collections.abc import Mapping

import psutil

HEARTBEAT = "heartbeat"  # the tag with the time (seconds since 1970) of the last sign of life
SILENCE = 900.0  # seconds without one, after which a process on another host counts as gone
JOB = "SLURM_JOB_ID"
CLOCK = 2.0  # seconds that the start time of a process may seem to move when the clock is set


def process_tags() -> dict[str, str]:
    """The tags ``host``, ``pid`` and ``pid_started`` (seconds since 1970) of this process.

    Under SLURM ``job`` as well, which a job keeps when it is queued again.
    """
    started = psutil.Process().create_time()
    job = {"job": os.environ[JOB]} if JOB in os.environ else {}
    return job | {
        "host": platform.node(),
        "pid": str(os.getpid()),
        "pid_started": f"{started:.2f}",
        HEARTBEAT: f"{time.time():.0f}",
    }


def is_mine(tags: Mapping[str, str]) -> bool:
    """Whether this process, or this SLURM job before it was queued again, wrote these tags."""
    if "job" in tags and tags["job"] == os.environ.get(JOB):
        return True
    return (tags.get("host"), tags.get("pid")) == (platform.node(), str(os.getpid()))


def is_dead(tags: Mapping[str, str]) -> bool:
    """Whether the process that wrote these tags is certainly gone.

    On this host by its pid, where a pid that another process has meanwhile is told apart by its
    start time; on another host by its silence.
    """
    if "pid" not in tags:
        return False
    if tags.get("host") != platform.node():
        return time.time() - float(tags.get(HEARTBEAT, "inf")) > SILENCE
    try:
        process = psutil.Process(int(tags["pid"]))
        if process.status() == psutil.STATUS_ZOMBIE:
            return True
        started = process.create_time()
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False
    return bool(abs(started - float(tags.get("pid_started", started))) > CLOCK)
