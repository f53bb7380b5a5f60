"""Attempts at the points of a sweep: wait for those that run, end those whose process is gone."""

import logging
import time
from collections.abc import Callable, Mapping

from mlflow import MlflowClient

from pipeline.config.stages import TrackingConfig
from pipeline.tracking.liveness import is_dead, is_mine
from pipeline.tracking.reader import read_attempts

log = logging.getLogger(__name__)

POLL = 5.0  # seconds between two looks at runs that are waited for


def earlier_attempt(config: TrackingConfig, fingerprint: str) -> str | None:
    """Return the id of the run that has finished this point of the sweep; None if there is none.

    A scheduler may queue a point again, so lost attempts are ended as KILLED. It may also start a
    point twice, so an attempt that may be alive, on whatever host, is waited for.
    """
    parent = config.parent_run_id
    if parent is None:
        return None

    def is_lost(tags: Mapping[str, str]) -> bool:
        return is_dead(tags) or is_mine(tags)

    settle(config, parent, "KILLED", "the point was queued again", fingerprint, is_lost)
    for run in read_attempts(config, parent):
        if run.status == "FINISHED" and run.tags.get("fingerprint") == fingerprint:
            return run.run_id
    return None


def settle(
    config: TrackingConfig,
    parent_run_id: str,
    status: str,
    reason: str,
    fingerprint: str | None = None,
    is_lost: Callable[[Mapping[str, str]], bool] = is_dead,
) -> None:
    """Wait until no attempt at a point of the sweep runs; end lost ones with ``status``.

    ``fingerprint`` limits this to one point. ``is_lost`` gets the tags of an attempt.
    """
    waiting = False
    while True:
        running = [
            run
            for run in read_attempts(config, parent_run_id)
            if run.status == "RUNNING" and fingerprint in (None, run.tags.get("fingerprint"))
        ]
        lost = [run for run in running if is_lost(run.tags)]
        for run in lost:
            end(config, run.run_id, status, reason)
        alive = [run for run in running if run not in lost]
        if not alive:
            return
        if not waiting:
            places = (f"{r.name} (pid {r.tags.get('pid')} on {r.tags.get('host')})" for r in alive)
            log.info("waiting for %s", ", ".join(places))
        waiting = True
        time.sleep(POLL)


def end(config: TrackingConfig, run_id: str, status: str, reason: str) -> None:
    """End the run of another process; ``reason`` becomes its tag ``failure`` unless FINISHED."""
    client = MlflowClient(tracking_uri=config.uri)
    if status != "FINISHED":
        client.set_tag(run_id, "failure", reason)
    client.set_terminated(run_id, status)
