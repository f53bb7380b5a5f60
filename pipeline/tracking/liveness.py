"""Tag a run with its process, and tell from the tags whether that process is gone."""

import os
import platform
import time
from collections.abc import Mapping

import psutil

HEARTBEAT = "heartbeat"  # tag: time of the last sign of life, in seconds since 1970
SILENCE = 900.0  # seconds without a heartbeat after which a process elsewhere counts as gone
JOB = "SLURM_JOB_ID"
CLOCK = 2.0  # seconds by which the start time of a process may shift when the clock is set


def process_tags() -> dict[str, str]:
    """Return the tags of this process: ``host``, ``pid``, ``pid_started`` and ``heartbeat``.

    Times are in seconds since 1970. Under SLURM there is also ``job``, which a job keeps when it is
    queued again.
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
    """Return whether this process wrote these tags, or its SLURM job before it was requeued."""
    if "job" in tags and tags["job"] == os.environ.get(JOB):
        return True
    return (tags.get("host"), tags.get("pid")) == (platform.node(), str(os.getpid()))


def is_dead(tags: Mapping[str, str]) -> bool:
    """Return whether the process that wrote these tags is certainly gone.

    On this host the pid decides, together with the start time in case another process has the pid
    now. On another host the heartbeat decides.
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
