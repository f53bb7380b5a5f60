"""Tag a run with its process, and tell from the tags whether that process is gone."""

import os
import platform
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

HEARTBEAT = "heartbeat"  # tag: time of the last sign of life, in seconds since 1970
SILENCE = 900.0  # seconds without a heartbeat after which a process elsewhere counts as gone
JOB = "SLURM_JOB_ID"
PLACE = ("host", "boot", "pid_namespace")
CLOCK = 2.0  # seconds by which the start time of a process may shift when the clock is set


def process_tags() -> dict[str, str]:
    """Return the tags of this process: ``host``, ``pid``, ``pid_started`` and ``heartbeat``.

    Times are in seconds since 1970. On Linux there are also ``boot`` and ``pid_namespace``, as two
    containers may have one host name, and count their processes apart. Under SLURM there is also
    ``job``, which a job keeps when it is queued again.
    """
    started = psutil.Process().create_time()
    tags = _place() | {
        "pid": str(os.getpid()),
        "pid_started": f"{started:.2f}",
        HEARTBEAT: f"{time.time():.0f}",
    }
    return tags | ({"job": os.environ[JOB]} if JOB in os.environ else {})


def is_mine(tags: Mapping[str, str]) -> bool:
    """Return whether this process wrote these tags, or its SLURM job before it was requeued."""
    if "job" in tags and tags["job"] == os.environ.get(JOB):
        return True
    return _is_here(tags) and tags.get("pid") == str(os.getpid())


def is_dead(tags: Mapping[str, str]) -> bool:
    """Return whether the process that wrote these tags is certainly gone.

    On this host the pid decides, together with the start time in case another process has the pid
    now. Elsewhere the heartbeat decides: on another host, in another container of the same host
    name, and before a restart of the machine.
    """
    if "pid" not in tags:
        return False
    if not _is_here(tags):
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


def _place() -> dict[str, str]:
    """Return the tags of PLACE, within which a pid names one process."""
    place = {"host": platform.node()}
    with suppress(OSError):  # not Linux
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        place |= {"boot": boot, "pid_namespace": str(Path("/proc/self/ns/pid").readlink())}
    return place


def _is_here(tags: Mapping[str, str]) -> bool:
    """Return whether the pid in ``tags`` can be looked up by this process."""
    here = _place()
    return all(tags.get(key) == here.get(key) for key in PLACE)
