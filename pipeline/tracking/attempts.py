"""Attempts at a point: what has finished it, what is lost, what still runs."""

import logging
import time

from mlflow import MlflowClient

from pipeline.config.stages import TrackingConfig
from pipeline.tracking.liveness import is_dead, is_mine
from pipeline.tracking.reader import read_attempts
from pipeline.tracking.store import expect

log = logging.getLogger(__name__)

POLL = 5.0  # seconds between looks at a run that is waited for


def end(config: TrackingConfig, run_id: str, status: str, reason: str) -> None:
    """End a run that somebody else left; ``reason`` becomes the tag ``failure`` unless FINISHED."""
    client = MlflowClient(tracking_uri=config.uri)
    if status != "FINISHED":
        client.set_tag(run_id, "failure", reason)
    client.set_terminated(run_id, status)


def earlier_attempt(config: TrackingConfig, fingerprint: str) -> str | None:
    """The id of the run that has finished this point of the sweep, None if none has.

    A scheduler may have queued the point again: attempts whose process is gone are ended as
    KILLED. It may also run it twice at once: one that may be alive, wherever, is waited for.
    """
    if config.parent_run_id is None:
        return None
    expect(config.uri)  # the sweep of this point is there
    said = False
    while True:
        attempts = read_attempts(config, config.parent_run_id)
        of_point = [run for run in attempts if run.tags.get("fingerprint") == fingerprint]
        if done := [run.run_id for run in of_point if run.status == "FINISHED"]:
            return done[0]
        running = [run for run in of_point if run.status == "RUNNING"]
        lost = [run for run in running if is_dead(run.tags) or is_mine(run.tags)]
        for run in lost:
            end(config, run.run_id, "KILLED", "the point was queued again")
        if len(lost) == len(running):
            return None
        if not said:
            who = next(run.tags for run in running if run not in lost)
            log.info("waiting for pid %s on %s, which runs this point", who["pid"], who["host"])
        said = True
        time.sleep(POLL)
